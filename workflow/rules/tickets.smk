"""Networks trained again under the masks of others, or their own, for the experiments `tickets` and `transfer_masks`.

Needs: the networks at the epoch to rewind to, the masks of others, and permutations between the two.
Makes: a network for each mask, and a table of its epochs.
"""

# The epochs to which networks are rewound: that of the study goes without saying.
FROM = [{}, *({"rewind": epoch} for epoch in REWINDS)]
AGAIN = [own_tickets_at] if config["tickets"]["again"] else []

NETWORKS_OF["ticket_levels"] = [item for rewind in FROM for item in masks_at(TICKET_LEVELS, **rewind)]
NETWORKS_OF["tickets"] = [
    item for rewind in FROM for tickets in (tickets_at, *AGAIN) for item in tickets(TICKET_LEVELS, **rewind)
]
NETWORKS_OF["transferred"] = masks_at([config["transfer"]["level"]])
NETWORKS_OF["second_tickets"] = tickets_at([config["transfer"]["level"]], data="second")

RETRAININGS = {
    "_".join(["train_tickets", *(["again"] if again else []), *(f"from{epoch}" for epoch in rewind.values())]): {
        "levels": TICKET_LEVELS,
        "again": again,
        **rewind,
    }
    for again in (False, *(True for _ in AGAIN))
    for rewind in FROM
}
RETRAININGS["train_second_tickets"] = {
    "levels": [config["transfer"]["level"]],
    "data": "second",
    "stage": {"data": "across"},
}
RETRAININGS = {name: Retraining(name, **how) for name, how in RETRAININGS.items()}

for name, retraining in RETRAININGS.items():

    rule:
        """Train networks from the rewinding epoch under masks of others as they are, permuted, shuffled; or their own."""
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
            pruning=retraining.settings,
            networks=of_outputs(retraining.batch.of),
            rewound=of_inputs(retraining.rewound),
            masks=of_inputs(retraining.masks),
            permutations=of_inputs(retraining.permutations),
            across=retraining.stage == {"data": "across"},
            epochs=[LAST_EPOCH],
            version=versions.of("tickets"),
        script:
            "../scripts/train_tickets.py"
