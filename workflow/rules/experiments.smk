"""The experiments: for each of them its target, its measurement, its table and its figure.

Needs and makes: what src/onebasin/experiments/NAME.py declares. A measurement is one file for each model, width and part.
"""

import functools
import math
from types import SimpleNamespace

NETWORKS_OF["narrow"] = lambda wildcards: [
    {"seed": seed, "width": width}
    for width in config["embedding"]["narrow"]
    if width in MODELS[wildcards.model]["widths"]
    for seed in SEEDS
]


def stages_compared(wildcards):
    """The stages whose permutations are compared: epochs, and levels of pruning where the study prunes this width."""
    prunes = any(ROOMS[name].needs.widths == "pruning.widths" for name in config["experiments"])
    pruned = prunes and int(wildcards.width) in config["pruning"]["widths"]
    return STAGES["history"] + (STAGES["levels"] if pruned else [])


STAGES["compared"] = stages_compared


def listed(sets, names, wildcards):
    """What some sets hold, one after another."""
    found = [sets[name](wildcards) if callable(sets[name]) else sets[name] for name in names]
    return [item for items in found for item in items]


class Measurement:
    """What the measuring jobs of an experiment have in hand.

    Args:
        room: the experiment.
    """

    def __init__(self, room):
        self.room, self.needs = room, room.needs
        self.shares = SHARES if room.needs.shared else 1
        self.share = SHARE if self.shares > 1 else ""
        self.batch = Batch(({"part": part} for part in parts_of(self.needs.parts)), config["methods_together"], ["part"])
        self.pairs = HISTORY_PAIRS if self.needs.widths.startswith("history") else PAIRS
        WORK[f"{room.name}_measure"] = Work(ESTIMATE, self.amount)

    def parts(self, wildcards):
        """The parts of a job."""
        return [item["part"] for item in self.batch.of(wildcards)]

    def levels(self, wildcards):
        """The levels of pruning of a job, one for each part, where they are its parts."""
        levels = {f"level{stage['level']}": stage["level"] for stage in STAGES.get("levels", [])}
        return [levels[part] for part in self.parts(wildcards)] if self.needs.parts == ("levels",) else []

    def names(self, known, kind, wildcards):
        """The methods or frames of a job: those among its parts, or all that the experiment uses."""
        if kind in self.needs.parts:
            return [part for part in self.parts(wildcards) if part in known]
        return list(known) if kind in self.needs.uses else []

    def methods(self, wildcards):
        """The settings of the methods of a job."""
        return [stable(METHODS[name]) for name in self.names(METHODS, "methods", wildcards)]

    def frames(self, wildcards):
        """The settings of the frames of a job."""
        return [stable(FRAMES[name]) for name in self.names(FRAMES, "frames", wildcards)]

    def of_levels(self, items, wildcards):
        """The items without those of levels that other jobs have in hand."""
        levels = self.levels(wildcards)
        return [item for item in items if not levels or "level" not in item or item["level"] in levels]

    def networks(self, wildcards):
        """The networks that a job reads."""
        return self.of_levels(listed(NETWORKS_OF, self.needs.states, wildcards), wildcards)

    def masks(self, wildcards):
        """The networks whose masks it reads."""
        return self.of_levels(listed(NETWORKS_OF, self.needs.masks, wildcards), wildcards)

    def stages(self, wildcards):
        """The stages at which it looks, the last epoch among them by its number."""
        names = self.needs.permutations or self.needs.states
        stages = listed(STAGES, [name for name in names if name in ("history", "compared")], wildcards)
        return [stage or {"epoch": LAST_EPOCH} for stage in stages]

    def permutations(self, wildcards):
        """The permutations that it reads."""
        stages = self.of_levels(listed(STAGES, self.needs.permutations, wildcards), wildcards)
        methods = self.names(METHODS, "methods", wildcards)
        return [{"method": method, **stage} for method in methods for stage in stages]

    def inputs(self, wildcards):
        """The files of all these."""
        frames = self.names(FRAMES, "frames", wildcards) if self.needs.frames else []
        files = {
            "data": [DATA[name] for name in self.needs.data],
            "networks": [network(**address) for address in self.networks(wildcards)],
            "masks": [mask_file(**address) for address in self.masks(wildcards)],
            "permutations": [permutations(**address) for address in self.permutations(wildcards)],
            "frames": [frame_file(name) for name in frames],
        }
        return {name: expand(paths, model=wildcards.model, width=wildcards.width) for name, paths in files.items()}

    def settings(self, wildcards):
        """How it measures, and the section of the experiment."""
        found = stable(config[self.room.name], without=self.needs.unread) if self.room.settings else {}
        if self.needs.data:
            without = ["points"] + (["correction"] if not self.needs.corrected else [])
            if self.needs.corrected and config["barrier"]["correction"] == "none":
                without.append("fit_images")
            found |= stable(config["barrier"], without=without)
        if self.needs.points:
            section, _, key = self.needs.points.partition(".")
            found["points"] = config[section][key]
        if self.needs.masks:
            found["output_layer"] = pruning_of(wildcards)["output_layer"]
        return stable(found)

    def amount(self, wildcards):
        """What a job does."""
        methods, frames = self.methods(wildcards), self.frames(wildcards)
        networks = self.networks(wildcards)
        counts = Counts(
            networks=len(SEEDS),
            pairs=len(self.pairs),
            methods=len(methods),
            frames=len(frames),
            unpermuted=int("none" not in self.needs.parts or "none" in self.parts(wildcards)),
            states=len(networks),
            stages=len(self.stages(wildcards)),
            layers=len(ESTIMATE.layers(MODELS[wildcards.model], int(wildcards.width))),
        )
        work = self.room.work(self.settings(wildcards), counts)
        framings = work.get("framings", 0)
        return Amount(
            matchings=framings or work.get("matchings", 0),
            methods=matchings_of_frames([frame["name"] for frame in frames]) if framings else methods,
            evaluations=math.ceil(work.get("evaluations", 0) / self.shares),
            correction=work.get("correction"),
            networks=len(networks),
        )


def parts_of(kinds):
    """The names of the parts of a measurement: `none`, methods, frames, levels; `all` where it is not divided."""
    names = {
        "none": ["none"],
        "methods": list(METHODS),
        "frames": list(FRAMES),
        "levels": [f"level{stage['level']}" for stage in STAGES.get("levels", [])],
    }
    return [name for kind in kinds for name in names[kind]] if kinds else ["all"]


def configurations_of(room):
    """The models and widths at which an experiment is measured: where it finds every network that it needs."""
    return [
        (model, width)
        for model, width in configurations_at(room.needs.widths)
        if all(
            NETWORKS_OF[name](SimpleNamespace(model=model, width=width))
            for name in room.needs.states
            if callable(NETWORKS_OF.get(name))
        )
    ]


def gathered(room, wildcards):
    """The files from which the tables of an experiment are made, by the names of their sources."""
    files = {}
    for source, kinds in room.gathers.items():
        kind, _, name = source.rpartition(" ")
        if kind == "table":
            files[f"table_{name}"] = TABLE.format(table=name)
            continue
        shares = [f".{number}-of-{SHARES}" for number in range(1, SHARES + 1)] if SHARES > 1 else [""]
        files[source] = [
            gathered_file(source, part, share).format(model=model, width=width)
            for model, width in configurations_of(room)
            for part in parts_of(kinds)
            for share in (shares if source in ROOMS and ROOMS[source].needs.shared else [""])
        ]
    for name in room.tables:
        if name != room.name:
            files[name] = [
                measurement_file(name, "all").format(model=model, width=width)
                for model, width in configurations_of(room)
            ]
    return files


def gathered_file(source, part, share):
    """A file that a table is made from."""
    if source == "matching":
        return permutations(method=part, kind="csv")
    if source == "frame":
        return frame_file(part, kind="csv")
    return measurement_file(source, f"{part}{share}")


def measurement_file(table, part):
    """A measurement, of which model and width are wildcards."""
    return MEASUREMENT.replace("{table}", table).replace("{part}", part)


def settings_of_table(room):
    """The settings of its section that a table depends on, and the number of points."""
    found = stable(config[room.name], without=room.needs.unread) if room.settings else {}
    section, _, key = (room.needs.points or "").partition(".")
    return stable({**found, "points": config[section][key]} if section else found)


def asked(room, wildcards):
    """The results of an experiment that was asked for by its name; the line that says why it cannot be had."""
    if config["networks"] and validation.trains(room):
        validation.refuse_training("networks", room.name)
    validation.check_networks("seeds", SEEDS, [room])
    validation.check_experiment(config, room)
    return results_of([room.name])


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
                tables=[
                    measurement_file(table, item["part"] + measured.share)
                    for item in measured.batch.patterns
                    for table in room.tables
                ],
            log:
                log_of(f"{room.name}_measure", f"{{model}}/width{{width}}/{measured.batch.name}{measured.share}"),
            benchmark:
                benchmark_of(f"{room.name}_measure", f"{{model}}/width{{width}}/{measured.batch.name}{measured.share}")
            wildcard_constraints:
                part="|".join(map(re.escape, parts_of(room.needs.parts))),
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
                seeds=SEEDS,
                last_epoch=LAST_EPOCH,
                parts=measured.parts,
                levels=measured.levels,
                pairs=measured.pairs,
                stages=measured.stages,
                methods=measured.methods,
                frames=measured.frames,
                networks=measured.networks,
                masks=measured.masks,
                permutations=measured.permutations,
                data=list(room.needs.data),
                share=share_of,
            script:
                "../scripts/measure.py"

    rule:
        """Gather what was measured at all models and widths."""
        name:
            f"{room.name}_table"
        input:
            unpack(functools.partial(gathered, room)),
        output:
            tables=[
                report(
                    TABLE.format(table=table),
                    caption="../report/experiment.rst",
                    category=room.category,
                    labels={"experiment": room.name, "kind": "table"},
                )
                for table in room.tables
            ],
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
            caption=room.caption.format(**config),
        script:
            "../scripts/table.py"

    rule:
        """Draw the figure from the table alone."""
        name:
            f"{room.name}_figure"
        input:
            table=TABLE.format(table=room.name),
        output:
            png=report(
                FIGURE.format(experiment=room.name, format="png"),
                caption="../report/experiment.rst",
                category=room.category,
                labels={"experiment": room.name, "kind": "figure"},
            ),
            pdf=FIGURE.format(experiment=room.name, format="pdf"),
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
            caption=room.caption.format(**config),
        script:
            "../scripts/figure.py"
