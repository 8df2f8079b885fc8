from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"


if config["networks"]:

    include: "workflow/rules/networks.smk"

else:

    include: "workflow/rules/train.smk"
    include: "workflow/rules/prune.smk"
    include: "workflow/rules/children.smk"
    include: "workflow/rules/star.smk"
    include: "workflow/rules/transience.smk"
    include: "workflow/rules/splits.smk"
    include: "workflow/rules/transfer.smk"
    include: "workflow/rules/experts.smk"
    include: "workflow/rules/tickets.smk"


include: "workflow/rules/align.smk"
include: "workflow/rules/frames.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/cost.smk"


rule all:
    """Every experiment of the study, and what was found."""
    default_target: True
    input:
        results_of(config["experiments"]),
        FINDINGS,
        REPORT,
