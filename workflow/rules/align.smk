"""Alignment: permutations of all pairs of networks.

Needs: the networks of a model and width, and the data set.
Makes: for each method and stage (an epoch of training, a level of pruning, the second data set, across both) one file of
permutations, and a table of what their matching reached.
"""

ALIGNMENTS = {"align": Alignment("align", STAGES["last"], pairs=MATCHED, shared=True)}
if not config["networks"]:
    ALIGNMENTS |= {
        "align_history": Alignment("align_history", STAGES["history"][:-1], pairs=HISTORY_PAIRS),
        "align_levels": Alignment("align_levels", STAGES["levels"], by=("method", "level"), pairs=MATCHED_ELSEWHERE),
        "align_transfer": Alignment("align_transfer", STAGES["second"] + STAGES["across"], pairs=MATCHED_ELSEWHERE),
    }

for name, alignment in ALIGNMENTS.items():

    rule:
        """Match pairs of networks of one width; a permutation is kept only if it leaves the function unchanged."""
        name:
            name
        input:
            data=[DATA[name] for name in alignment.data],
            networks=alignment.files,
        output:
            permutations=alignment.outputs("safetensors"),
            tables=alignment.outputs("csv"),
        log:
            log_of(name, f"{{model}}/width{{width}}/{alignment.batch.name}{alignment.share}"),
        benchmark:
            benchmark_of(name, f"{{model}}/width{{width}}/{alignment.batch.name}{alignment.share}")
        conda:
            "../../envs/onebasin.yaml"
        threads: config["resources"]["threads"]
        resources:
            runtime=WORK[name].runtime,
            mem_mb=WORK[name].mem_mb,
            gpu=WORK[name].gpu,
        params:
            architecture=architecture_of,
            methods=alignment.methods,
            versions=alignment.versions,
            stages=of_outputs(alignment.stages),
            networks=of_inputs(alignment.networks),
            pairs=of_outputs(alignment.pairs_of) if alignment.share else alignment.pairs,
            data=alignment.data,
        script:
            "../scripts/align.py"


if SHARES > 1:

    rule gather_permutations:
        """Put the shares of an alignment together, with the bytes of a single job."""
        input:
            permutations=[permutations(share=f".{number}-of-{SHARES}") for number in range(1, SHARES + 1)],
            tables=[permutations(share=f".{number}-of-{SHARES}", kind="csv") for number in range(1, SHARES + 1)],
        output:
            permutations=update(permutations()),
            table=update(permutations(kind="csv")),
        log:
            log_of("gather_permutations", "{model}/width{width}/{method}"),
        benchmark:
            benchmark_of("gather_permutations", "{model}/width{width}/{method}")
        localrule: True
        conda:
            "../../envs/onebasin.yaml"
        threads: 1
        resources:
            runtime=10,
            mem_mb=1000,
            gpu=0,
        script:
            "../scripts/gather.py"
