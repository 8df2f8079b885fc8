from snakemake.utils import min_version

min_version("9.14")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/scheduling.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/align.smk"
include: "workflow/rules/frames.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/parts.smk"
include: "workflow/rules/pairs.smk"
include: "workflow/rules/width.smk"
include: "workflow/rules/scaling.smk"
include: "workflow/rules/simplex.smk"
include: "workflow/rules/consensus.smk"
include: "workflow/rules/methods.smk"
include: "workflow/rules/correction.smk"
include: "workflow/rules/cycles.smk"
include: "workflow/rules/embedding.smk"


if config["networks"]:

    include: "workflow/rules/networks.smk"

else:

    include: "workflow/rules/train.smk"
    include: "workflow/rules/instability.smk"
    include: "workflow/rules/history.smk"
    include: "workflow/rules/trajectory.smk"
    include: "workflow/rules/stability.smk"
    include: "workflow/rules/layers.smk"
    include: "workflow/rules/superposition.smk"
    include: "workflow/rules/prune.smk"
    include: "workflow/rules/pruning.smk"
    include: "workflow/rules/sparsity.smk"
    include: "workflow/rules/tickets.smk"
    include: "workflow/rules/transfer.smk"
    include: "workflow/rules/transfer_masks.smk"


include: "workflow/rules/cost.smk"


rule all:
    """Every experiment of the study."""
    default_target: True
    input:
        experiment_files(config["experiments"]),
