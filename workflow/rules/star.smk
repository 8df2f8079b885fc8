"""Stars, networks that are trained on the lines to others, and networks of the same cost, for the experiment `star`.

Needs: the data set, and the trained networks that are sources of stars.
Makes: for each seed a star of each number of sources, a network that is trained as long, and one with strong weight
decay; and tables of their epochs.
"""

NETWORKS_OF["stars"] = STARS.items
# A step towards a source costs about twice what an ordinary one does.
WORK["train_stars"] = Work(
    ESTIMATE, lambda wildcards: Amount(trainings=2 * config["star"]["length"] * len(STARS.of(wildcards)))
)


rule train_stars:
    """Train one star, or all of one model and width: towards sources that are matched to it again and again."""
    input:
        data=DATA["first"],
        sources=sources_of_stars,
    output:
        checkpoints=update([network(**item) for item in STARS.patterns]),
        tables=update([training_table(**item) for item in STARS.patterns]),
    log:
        log_of("train_stars", f"{{model}}/width{{width}}/{STARS.name}"),
    benchmark:
        benchmark_of("train_stars", f"{{model}}/width{{width}}/{STARS.name}")
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=WORK["train_stars"].runtime,
        mem_mb=WORK["train_stars"].mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        training=training_of_stars,
        networks=of_outputs(STARS.of),
        epochs=[STAR_EPOCHS],
        star=stable(config["star"], without=("widths", "sources", "seeds", "align", "length", "means")),
        matching=matching_of_stars,
        versions=[versions.of("train"), versions.of("star")],
    script:
        "../scripts/star.py"
