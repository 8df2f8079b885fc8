"""Stages at which permutations are found: epochs of training, and levels of pruning; their files and settings."""


def folder_of_permutations(stage):
    """Where the permutations lie that were found at a stage, such as `epoch5`; the end of training has no folder."""
    folder = "<results>/permutations/{model}/width{width}/{method}"
    return folder if stage == f"epoch{LAST_EPOCH}" else f"{folder}/{stage}"


def permutations_at(stages, methods):
    """The permutation files of some stages, by method, stage and pair; a method may be the wildcard."""
    return [
        file
        for method in methods
        for stage in stages
        for file in expand(
            f"{folder_of_permutations(stage)}/{{pair}}.safetensors",
            method=method,
            pair=HISTORY_PAIRS,
            allow_missing=True,
        )
    ]


def networks_at(epochs):
    """The checkpoints of some epochs, by epoch and seed."""
    return expand(
        "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
        epoch=epochs,
        seed=SEEDS,
        allow_missing=True,
    )


def permutations_of_history(wildcards):
    """The permutation files of all epochs that a measure job needs."""
    patterns = permutations_at(STAGES, methods_of(wildcards))
    return expand(patterns, model=wildcards.model, width=wildcards.width)


def history_settings():
    """How networks are measured, with a number of points of the section `history`."""
    return {**barrier_settings(), "points": config["history"]["points"]}


def stages_compared(wildcards):
    """The stages whose permutations are compared: epochs, and levels of pruning where the study prunes this width."""
    pruned = PRUNES and int(wildcards.width) in config["pruning"]["widths"]
    return STAGES + [f"level{level}" for level in LEVELS] if pruned else STAGES
