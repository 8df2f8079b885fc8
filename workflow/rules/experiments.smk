"""The experiments: for each of them its target, its measurement, its table and its figure.

Needs and makes: what src/onebasin/experiments/NAME.py declares. A measurement is one file for each model, width and part.
"""

import atexit
import functools
import math
import time
from types import SimpleNamespace

from onebasin.findings import LEGEND

NETWORKS_OF["narrow"] = lambda wildcards: [
    {"seed": seed, "width": width}
    for width in config["embedding"]["narrow"]
    if width in MODELS[wildcards.model]["widths"]
    for seed in SEEDS
]


STAGES["compared"] = stages_compared

for room in ROOMS.values():

    rule:
        """Make the table and the figure of the experiment of this name."""
        name:
            room.name
        input:
            functools.partial(asked, room),

    if config["networks"] and validation.trains(room):
        continue
    if room.measures:
        measured = Measurement(room)

        rule:
            """Measure what the experiment asks for, on the networks of one width."""
            name:
                f"{room.name}_measure"
            input:
                unpack(measured.inputs),
            output:
                tables=update(
                    [
                        measurement_file(table, item["part"] + measured.share)
                        for item in measured.batch.patterns
                        for table in room.tables
                    ]
                ),
            log:
                log_of(f"{room.name}_measure", f"{{model}}/width{{width}}/{measured.batch.name}{measured.share}"),
            benchmark:
                benchmark_of(f"{room.name}_measure", f"{{model}}/width{{width}}/{measured.batch.name}{measured.share}")
            wildcard_constraints:
                part="|".join(map(re.escape, parts_of(room.needs.parts, room))),
            conda:
                "../../envs/onebasin.yaml"
            threads: config["resources"]["threads"] if room.needs.data else 1
            resources:
                runtime=WORK[f"{room.name}_measure"].runtime,
                mem_mb=WORK[f"{room.name}_measure"].mem_mb,
                gpu=config["resources"]["gpu"] if room.needs.data else 0,
            params:
                experiment=room.name,
                architecture=architecture_of,
                settings=measured.settings,
                versions=measured.versions,
                seeds=SEEDS,
                last_epoch=LAST_EPOCH,
                parts=of_outputs(measured.parts),
                levels=of_outputs(measured.levels),
                pairs=measured.pairs,
                stages=of_inputs(measured.stages),
                methods=measured.methods,
                frames=measured.frames,
                networks=of_inputs(measured.networks),
                masks=of_inputs(measured.masks),
                permutations=of_inputs(measured.permutations),
                data=measured.data,
                share=of_outputs(share_of),
                evaluations=of_outputs(measured.evaluations),
            script:
                "../scripts/measure.py"

    rule:
        """Gather what was measured at all models and widths."""
        name:
            f"{room.name}_table"
        input:
            unpack(functools.partial(gathered, room)),
        output:
            tables=update([TABLE.format(table=table) for table in room.tables]),
        log:
            log_of(f"{room.name}_table"),
        benchmark:
            benchmark_of(f"{room.name}_table")
        localrule: True
        conda:
            "../../envs/onebasin.yaml"
        threads: 1
        resources:
            runtime=10,
            mem_mb=1000,
            gpu=0,
        params:
            experiment=room.name,
            settings=settings_of_table(room),
            version=room.version,
        script:
            "../scripts/table.py"

    rule:
        """Draw the figure from the table alone, and write what it shows: as a table of means, and in sentences."""
        name:
            f"{room.name}_figure"
        input:
            table=TABLE.format(table=room.name),
        output:
            png=update(FIGURE.format(experiment=room.name, format="png")),
            pdf=update(FIGURE.format(experiment=room.name, format="pdf")),
            summary=update(SUMMARY.format(experiment=room.name, format="csv")),
            finding=update(SUMMARY.format(experiment=room.name, format="md")),
        log:
            log_of(f"{room.name}_figure"),
        benchmark:
            benchmark_of(f"{room.name}_figure")
        localrule: True
        conda:
            "../../envs/onebasin.yaml"
        threads: 1
        resources:
            runtime=10,
            mem_mb=1000,
            gpu=0,
        params:
            experiment=room.name,
            code=records.code_of_figure(room.name),
            style=config["figures"]["style"],
        script:
            "../scripts/figure.py"


ASKED = [name for name in ROOMS if name in config["experiments"]]


rule findings:
    """Gather what the experiments of the study found, in the order in which one reads."""
    input:
        findings=[SUMMARY.format(experiment=name, format="md") for name in ASKED],
    output:
        page=update(FINDINGS),
    log:
        log_of("findings"),
    benchmark:
        benchmark_of("findings")
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiments=ASKED,
        study=config["study"],
    script:
        "../scripts/findings.py"


rule report:
    """Put what was found, every figure and its means on one page that needs nothing else."""
    input:
        figures=[FIGURE.format(experiment=name, format="png") for name in ASKED],
        summaries=[SUMMARY.format(experiment=name, format="csv") for name in ASKED],
        findings=[SUMMARY.format(experiment=name, format="md") for name in ASKED],
    output:
        page=update(REPORT),
    log:
        log_of("report"),
    benchmark:
        benchmark_of("report")
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiments=ASKED,
        captions={name: ROOMS[name].caption.format(**config) for name in ASKED},
    script:
        "../scripts/report.py"


PLANNED = time.time()


onsuccess:
    # What a study found is told when it was found, not whenever nothing is left to do; at the very end, for bars are
    # drawn until then.
    found = Path(f"results/{config['study']}/findings.md")
    if found.exists() and found.stat().st_mtime >= PLANNED:
        parts = found.read_text(encoding="utf-8").rstrip().split("\n\n")
        told = [part for part in parts if not part.startswith(("| ", LEGEND))]
        atexit.register(
            print, "\n\n".join([*told, f"{found.with_name('report.html')} shows it, with every figure."])
        )
