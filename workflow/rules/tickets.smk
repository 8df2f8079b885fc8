"""Networks trained again under the masks of others, for the experiments `tickets` and `transfer_masks`.

Needs: the networks at the epoch to rewind to, the masks of others, and permutations between the two.
Makes: a network for each mask, and a table of its epochs.
"""

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
            checkpoints=update([network(**item) for item in retraining.batch.patterns]),
            tables=update([training_table(**item) for item in retraining.batch.patterns]),
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
            networks=of_outputs(retraining.batch.of),
            rewound=of_inputs(retraining.rewound),
            masks=of_inputs(retraining.masks),
            permutations=of_inputs(retraining.permutations),
            across=retraining.stage == {"data": "across"},
            epochs=[LAST_EPOCH],
            version=versions.of("tickets"),
        script:
            "../scripts/train_tickets.py"
