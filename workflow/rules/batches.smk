"""What one job has in hand of what a rule makes: all of it, what its wildcards name, or a share of the pairs.

Starting a job costs two seconds, more than its work in a small study; large studies want more jobs at once. The results
do not depend on it.
"""


class Batch:
    """Items that a rule makes for one model and width, and how they are dealt out to jobs.

    Args:
        items: each a dictionary; their order is that of a job's files.
        together: whether one job has all of them in hand.
        by: otherwise, the keys that are wildcards; a job has the items that agree in these.
    """

    def __init__(self, items, together, by):
        self.items = list(items)
        self.by = () if together else by

    @property
    def patterns(self):
        """The items of one job, as they stand in file names."""
        named = {key: f"{{{key}}}" for key in self.by}
        return unique({**item, **named} for item in self.items)

    @property
    def name(self):
        """What stands for the items of one job in the names of its log and benchmark."""
        return "-".join(f"{key}{{{key}}}" for key in self.by) or "all"

    def of(self, wildcards):
        """The items of one job."""
        return [item for item in self.items if all(str(item[key]) == wildcards[key] for key in self.by)]


def unique(items):
    """The different items, in order."""
    return list({str(item): item for item in items}.values())


SEEDS_IN_HAND = Batch(({"seed": seed} for seed in SEEDS), config["seeds_together"], by=["seed"])
FRAMES_IN_HAND = Batch(({"frame": name} for name in FRAMES), config["methods_together"], by=["frame"])


scattergather:
    pairs=1,


# Jobs that share the pairs of a model and width; more than one if a profile says so.
SHARES = len(scatter.pairs("{scatteritem}"))


def share_of(wildcards):
    """The number of the share that a job has in hand, and of all shares."""
    item = wildcards.scatteritem if "scatteritem" in wildcards.keys() else "1-of-1"
    return [int(number) for number in item.split("-of-")]
