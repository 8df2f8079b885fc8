"""Networks trained again under the masks of others, for the experiments `tickets` and `transfer_masks`.

Needs: the networks at the epoch to rewind to, the masks of others, and permutations between the two.
Makes: a network for each mask, and a table of its epochs.
"""

# The masks under which a network is trained again besides its own: that of another network as it is, at random with as
# many weights in every layer, and permuted as each method says.
TICKETS = [{"mask": "unpermuted"}, {"mask": "random"}, *({"mask": "permuted", "method": name} for name in METHODS)]
TICKET_PAIRS = DISJOINT if config["tickets"]["pairs"] == "disjoint" else PAIRS
TICKET_LEVELS = sorted(config["tickets"]["levels"])


def tickets_at(levels, **address):
    """The networks that are trained under masks; each network of a pair is trained under the mask of the other one."""
    return [
        {"seed": seed, "level": level, **ticket, "source": source, **address}
        for pair in TICKET_PAIRS
        for source, seed in (pair, pair[::-1])
        for level in levels
        for ticket in TICKETS
    ]


def masks_at(levels):
    """The networks whose masks are exchanged."""
    return [{"seed": seed, "level": level} for level in levels for seed in SEEDS]


class Retraining:
    """What the jobs of a rule have in hand that trains networks under the masks of others.

    Args:
        name: of the rule.
        levels: of pruning, whose masks are exchanged.
        data: the data set on which networks are trained.
        stage: at which the networks that exchange masks were matched.
    """

    def __init__(self, name, levels, data, stage):
        self.on = {"data": data} if data == "second" else {}
        self.stage = stage
        items = tickets_at(levels, **self.on)
        self.batch = Batch(items, config["seeds_together"], by=["seed", "level", "source"])
        WORK[name] = Work(ESTIMATE, lambda wildcards: Amount(trainings=len(self.batch.of(wildcards))))

    def rewound(self, wildcards):
        """The networks that are trained again, at the epoch to which they are rewound."""
        return unique({"seed": item["seed"], "epoch": REWIND, **self.on} for item in self.batch.of(wildcards))

    def masks(self, wildcards):
        """The networks whose masks they are trained under."""
        return unique({"seed": item["source"], "level": item["level"]} for item in self.batch.of(wildcards))

    def permutations(self, wildcards):
        """What permutes the masks."""
        return [{"method": method, **self.stage} for method in METHODS]

    def inputs(self, wildcards):
        """The files of all these."""
        files = {
            "rewound": [network(**address) for address in self.rewound(wildcards)],
            "masks": [mask_file(**address) for address in self.masks(wildcards)],
            "permutations": [permutations(**address) for address in self.permutations(wildcards)],
        }
        return {name: expand(paths, model=wildcards.model, width=wildcards.width) for name, paths in files.items()}


NETWORKS_OF["ticket_levels"] = masks_at(TICKET_LEVELS)
NETWORKS_OF["tickets"] = tickets_at(TICKET_LEVELS)
NETWORKS_OF["transferred"] = masks_at([config["transfer"]["level"]])
NETWORKS_OF["second_tickets"] = tickets_at([config["transfer"]["level"]], data="second")

RETRAININGS = {
    "train_tickets": Retraining("train_tickets", TICKET_LEVELS, "first", {}),
    "train_second_tickets": Retraining(
        "train_second_tickets", [config["transfer"]["level"]], "second", {"data": "across"}
    ),
}

for name, retraining in RETRAININGS.items():

    rule:
        """Train networks from the rewinding epoch under the masks of others: as they are, permuted, and shuffled."""
        name:
            name
        input:
            unpack(retraining.inputs),
            data=DATA[retraining.on.get("data", "first")],
        output:
            checkpoints=[network(**item) for item in retraining.batch.patterns],
            tables=[training_table(**item) for item in retraining.batch.patterns],
        log:
            log_of(name, f"{{model}}/width{{width}}/{retraining.batch.name}"),
        benchmark:
            benchmark_of(name, f"{{model}}/width{{width}}/{retraining.batch.name}")
        conda:
            "../../envs/onebasin.yaml"
        threads: config["resources"]["threads"]
        resources:
            runtime=WORK[name].runtime,
            mem_mb=WORK[name].mem_mb,
            gpu=config["resources"]["gpu"],
        params:
            architecture=architecture_of,
            training=training_of,
            pruning=lambda wildcards: {key: pruning_of(wildcards)[key] for key in ("rewind", "warmup_again")},
            networks=retraining.batch.of,
            rewound=retraining.rewound,
            masks=retraining.masks,
            permutations=retraining.permutations,
            across=retraining.stage == {"data": "across"},
            epochs=[LAST_EPOCH],
        script:
            "../scripts/train_tickets.py"
