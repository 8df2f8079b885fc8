"""The version of each stage, which is a part of what shapes its results.

Raise a version whenever code changes what its stage computes, so that what it made before is made again.
tests/unit/test_versions.py holds results of each stage against its version, so that nobody forgets. Measuring and table
of an experiment have a version of their own, ``VERSION`` of its module.
"""

STAGES = {
    "data": 1,
    "image_folder": 2,
    # Networks: from their initialisation, pruned and trained again, trained towards others, trained on from means, and
    # trained elsewhere.
    "train": 1,
    "prune": 1,
    "tickets": 1,
    "star": 1,
    "transience": 1,
    "import": 1,
    # Matching, by algorithm.
    "weights": 2,
    "activations": 2,
    # Common frames, by algorithm.
    "reference": 2,
    "hierarchical": 1,
    "merge_many": 2,
    "universe": 2,
    # Learned through the loss, for pairs and for frames.
    "sinkhorn": 4,
    # Mixtures of networks, and what is measured of them.
    "mixtures": 1,
}


def of(stage: str) -> int:
    """Return the version of a stage, which is 1 until it is raised."""
    return STAGES.get(stage, 1)
