"""Alignment: permutations of all pairs of networks.

Needs: the networks of a model and width, and the data set.
Makes: for each method and stage (an epoch of training, a level of pruning, the second data set, across both) one file of
permutations, and a table of what their matching reached.
"""

PAIRS_AT = {"align_history": HISTORY_PAIRS if not config["networks"] else PAIRS}
# Only the pairs of trained networks are worth sharing: there are many of them, and networks are large.
SHARE = ".{scatteritem}" if SHARES > 1 else ""


class Alignment:
    """What the jobs of a rule match.

    Args:
        name: of the rule.
        stages: at which networks are matched.
        by: wildcards of its jobs, where they do not have all methods in hand.
    """

    def __init__(self, name, stages, by=("method",)):
        self.share = SHARE if name == "align" else ""
        self.pairs = PAIRS_AT.get(name, PAIRS)
        self.across = {"data": "across"} in stages
        items = ({"method": method, **stage} for method in METHODS for stage in stages)
        self.batch = Batch(items, config["methods_together"], by=by)
        WORK[name] = Work(ESTIMATE, self.amount)

    def methods(self, wildcards):
        """The settings of the methods of a job."""
        return [stable(METHODS[name]) for name in unique(item["method"] for item in self.batch.of(wildcards))]

    def stages(self, wildcards):
        """The stages of a job."""
        return unique({key: item[key] for key in item if key != "method"} for item in self.batch.of(wildcards))

    def networks(self, wildcards):
        """The networks that are matched."""
        stages = [{}] * self.across + [stage for stage in self.stages(wildcards) if stage != {"data": "across"}]
        return [{"seed": seed, **stage} for stage in stages for seed in SEEDS]

    def pairs_of(self, wildcards):
        """The pairs of a job."""
        number, shares = share_of(wildcards)
        return self.pairs[len(self.pairs) * (number - 1) // shares : len(self.pairs) * number // shares]

    def files(self, wildcards):
        """The checkpoints of the networks."""
        return expand([network(**item) for item in self.networks(wildcards)], **wildcards)

    def amount(self, wildcards):
        """What a job does."""
        pairs = len(self.stages(wildcards)) * len(self.pairs_of(wildcards)) + self.across * len(SEEDS) ** 2
        return Amount(
            matchings=pairs, methods=self.methods(wildcards), networks=len(self.networks(wildcards))
        )


ALIGNMENTS = {"align": Alignment("align", STAGES["last"])}
if not config["networks"]:
    ALIGNMENTS |= {
        "align_history": Alignment("align_history", STAGES["history"][:-1]),
        "align_levels": Alignment("align_levels", STAGES["levels"], by=("method", "level")),
        "align_transfer": Alignment("align_transfer", STAGES["second"] + STAGES["across"]),
    }

for name, alignment in ALIGNMENTS.items():

    rule:
        """Match pairs of networks of one width; a permutation is kept only if it leaves the function unchanged."""
        name:
            name
        input:
            data=list(DATA.values()) if alignment.across else [DATA["first"]],
            networks=alignment.files,
        output:
            permutations=[permutations(**item, share=alignment.share) for item in alignment.batch.patterns],
            tables=[permutations(**item, share=alignment.share, kind="csv") for item in alignment.batch.patterns],
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
            stages=alignment.stages,
            networks=alignment.networks,
            pairs=alignment.pairs_of,
            data=list(DATA) if alignment.across else ["first"],
        script:
            "../scripts/align.py"


if SHARES > 1:

    rule gather_permutations:
        """Put the shares of an alignment together, with the bytes of a single job."""
        input:
            permutations=[permutations(share=f".{number}-of-{SHARES}") for number in range(1, SHARES + 1)],
            tables=[permutations(share=f".{number}-of-{SHARES}", kind="csv") for number in range(1, SHARES + 1)],
        output:
            permutations=permutations(),
            table=permutations(kind="csv"),
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
