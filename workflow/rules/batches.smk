"""What one job has in hand: one seed or all, one method or all, a share of the pairs; its files and params follow.

A class for each kind of work that has several rules or jobs of several sizes. Everything is given in the order of files.
"""

import math

SEEDS_IN_HAND = Batch(({"seed": seed} for seed in SEEDS), config["seeds_together"], by=["seed"])
FRAMES_IN_HAND = Batch(({"frame": name} for name in FRAMES), config["methods_together"], by=["frame"])
CHILDREN = Batch(
    ({"seed": seed, "shared": shared} for seed in SEEDS for shared in sorted(config["instability"]["epochs"])),
    config["seeds_together"],
    by=["seed", "shared"],
)
STAR_EPOCHS = config["star"]["length"] * LAST_EPOCH
STARS = Batch(
    (
        {"seed": seed, "star": star, **at(STAR_EPOCHS)}
        for seed in sorted(config["star"]["seeds"])
        for star in (*sorted(config["star"]["sources"]), "longer", "decay")
    ),
    config["seeds_together"],
    by=["seed", "star"],
)
BUTTERFLY_EPOCHS = config["butterfly"]["training"].get("epochs", LAST_EPOCH)
BUTTERFLY = Batch(
    (
        {"seed": seed, "data": "butterfly", **at(BUTTERFLY_EPOCHS), **child}
        for seed in SEEDS
        for child in [{}, *({"child": child} for child in ROOMS["butterfly"].module.children(config["butterfly"]))]
    ),
    config["seeds_together"],
    by=["seed"],
)
MEANS_AT = sorted(config["transience"]["epochs"])
MEANS_LAST = config["transience"]["training"].get("epochs", LAST_EPOCH)
ENDS = Batch(
    (
        {"seed": seed, "data": "transience", **shared}
        for seed in SEEDS
        for shared in [{}, *({"shared": shared} for shared in sorted(config["transience"]["shared"]))]
    ),
    config["seeds_together"],
    by=["seed"],
)
EXPERTS = Batch(
    (
        {"seed": seed, "data": task, "start": start}
        for seed in SEEDS
        for start in sorted(config["nonlocal"]["starts"])
        for task in TASKS
    ),
    config["seeds_together"],
    by=["seed"],
)
SPLITS = Batch(
    ROOMS["splits"].module.networks(config["splits"]),
    config["seeds_together"],
    by=["seed", "split"],
)
SECOND = Batch(({"seed": seed, "data": "second"} for seed in SEEDS), config["seeds_together"], by=["seed"])

# Only the pairs of trained networks are worth sharing: there are many of them, and networks are large.
SHARE = ".{scatteritem}" if SHARES > 1 else ""


def of_inputs(function):
    """Make a param of what names the inputs of a job. It runs no job again: other inputs do that by themselves."""
    return lambda wildcards, input: function(wildcards)


def of_outputs(function):
    """Make a param of what names the outputs of a job; they are the same however they are dealt out to jobs."""
    return lambda wildcards, output: function(wildcards)


def share_of(wildcards):
    """The number of the share that a job has in hand, and of all shares."""
    item = wildcards.scatteritem if "scatteritem" in wildcards.keys() else "1-of-1"
    return [int(number) for number in item.split("-of-")]


def pruning_of(wildcards):
    """How the networks of a model are pruned, and whether their output layer is pruned too."""
    section = stable(config["pruning"], without=("widths", "levels", "output_layer", "points"))
    return {**section, "output_layer": MODELS[wildcards.model].get("family") in config["pruning"]["output_layer"]}


class Pruning:
    """What the jobs of a rule have in hand that prunes networks, level by level.

    Args:
        name: of the rule.
        rewind: the epoch to which networks are rewound, where it is not that of the study.
    """

    def __init__(self, name, rewind=None):
        self.on = {} if rewind is None else {"rewind": rewind}
        self.rewind = REWIND if rewind is None else rewind
        items = ({"seed": seed, "level": level, **self.on} for seed in SEEDS for level in LEVELS)
        self.batch = Batch(items, config["seeds_together"], by=["seed", "level"])
        WORK[name] = Work(ESTIMATE, lambda wildcards: Amount(trainings=len(self.batch.of(wildcards))))

    def settings(self, wildcards):
        """How networks are pruned."""
        return {**pruning_of(wildcards), **self.on}

    def before(self, wildcards):
        """The networks at the levels before those that a job makes, but for its own; level 0 is the trained network."""
        items = self.batch.of(wildcards)
        earlier = ({**item, "level": item["level"] - 1} for item in items)
        return [item for item in earlier if item not in items]

    def rewound(self, wildcards):
        """The networks at the epoch to which they are rewound."""
        return unique({"seed": item["seed"], "epoch": self.rewind} for item in self.batch.of(wildcards))

    def inputs(self, wildcards):
        """The files of all these, and the masks; at level 0 there is none."""
        before = self.before(wildcards)
        files = {
            "trained": [network(**item) for item in before],
            "masks": [mask_file(**item) for item in before if item["level"]],
            "rewound": [network(**item) for item in self.rewound(wildcards)],
        }
        return {name: expand(paths, model=wildcards.model, width=wildcards.width) for name, paths in files.items()}


def sources_of_stars(wildcards):
    """The networks towards which stars are trained."""
    return expand([network(seed=seed) for seed in SEEDS[: max(config["star"]["sources"])]], **wildcards)


def training_of_stars(wildcards):
    """The training settings of a model, for as many times its epochs."""
    settings, length = training_of(wildcards), config["star"]["length"]
    milestones = [length * epoch for epoch in settings["milestones"]]
    return {**settings, "epochs": length * settings["epochs"], "milestones": milestones}


def matching_of_stars(wildcards):
    """How sources are matched."""
    return stable(METHODS[config["star"]["align"]])


def training_of_splits(wildcards):
    """The training settings of a model, and the seed of parts of the data."""
    return stable({**training_of(wildcards), "parts": parts_settings({})})


def splits_in_hand(wildcards):
    """How the data of the networks of a job are divided, and where these start."""
    names = unique(item["split"] for item in SPLITS.of(wildcards))
    ways = ROOMS["splits"].module.ways(config["splits"])
    return {name: ways[name] for name in names}


def task_of(wildcards):
    """The data set of a task, as the config has it."""
    return TASKS[f"tasks/{wildcards.task}"]


def starts_of_experts(wildcards):
    """The networks from which experts start, where these are more than initialisations."""
    return [
        {"seed": seed, "start": start}
        for seed in sorted({item["seed"] for item in EXPERTS.of(wildcards)})
        for start in STARTS
    ]


def tickets_at(levels, **address):
    """The networks that are trained under masks; each network of a pair is trained under the mask of the other one."""
    return [
        {"seed": seed, "level": level, **ticket, "source": source, **address}
        for pair in TICKET_PAIRS
        for source, seed in (pair, pair[::-1])
        for level in levels
        for ticket in TICKETS
    ]


def own_tickets_at(levels, **address):
    """The networks that are trained once more under their own masks, with other batches."""
    return [{"seed": seed, "level": level, "mask": "again", **address} for seed in SEEDS for level in levels]


def masks_at(levels, **address):
    """The networks whose masks are exchanged."""
    return [{"seed": seed, "level": level, **address} for level in levels for seed in SEEDS]


class Retraining:
    """What the jobs of a rule have in hand that trains networks under masks, those of others or their own once more.

    Args:
        name: of the rule.
        levels: of pruning, whose masks they are.
        data: the data set on which networks are trained.
        stage: at which the networks that exchange masks were matched.
        rewind: the epoch to which they are rewound, where it is not that of the study.
        again: whether it is their own masks.
    """

    def __init__(self, name, levels, data="first", stage=None, rewind=None, again=False):
        self.on = {"data": data} if data == "second" else {}
        self.rewound_to = {} if rewind is None else {"rewind": rewind}
        self.rewind = REWIND if rewind is None else rewind
        self.stage, self.methods = stage or {}, [] if again else METHODS
        items = (own_tickets_at if again else tickets_at)(levels, **self.on, **self.rewound_to)
        self.batch = Batch(items, config["seeds_together"], by=["seed", "level", *([] if again else ["source"])])
        WORK[name] = Work(ESTIMATE, lambda wildcards: Amount(trainings=len(self.batch.of(wildcards))))

    def settings(self, wildcards):
        """To which epoch networks are rewound, and how the warmup is then."""
        return {"rewind": self.rewind, "warmup_again": pruning_of(wildcards)["warmup_again"]}

    def rewound(self, wildcards):
        """The networks that are trained again, at the epoch to which they are rewound."""
        return unique({"seed": item["seed"], "epoch": self.rewind, **self.on} for item in self.batch.of(wildcards))

    def masks(self, wildcards):
        """The networks whose masks they are trained under."""
        return unique(
            {"seed": item.get("source", item["seed"]), "level": item["level"], **self.rewound_to}
            for item in self.batch.of(wildcards)
        )

    def permutations(self, wildcards):
        """What permutes the masks."""
        return [{"method": method, **self.stage} for method in self.methods]

    def inputs(self, wildcards):
        """The files of all these."""
        files = {
            "rewound": [network(**address) for address in self.rewound(wildcards)],
            "masks": [mask_file(**address) for address in self.masks(wildcards)],
            "permutations": [permutations(**address) for address in self.permutations(wildcards)],
        }
        return {name: expand(paths, model=wildcards.model, width=wildcards.width) for name, paths in files.items()}


class Family:
    """What the jobs of a rule train that makes children.

    Args:
        batch: of children, and of parents where these are on a data set of their own.
        data: the data set.
        own: training settings in place of those of the study and the model.
    """

    def __init__(self, batch, data, own):
        self.batch, self.data, self.own = batch, data, own
        self.epochs = own.get("epochs", LAST_EPOCH)

    def training_of(self, wildcards):
        """The settings of the training."""
        return stable({**training_of(wildcards), **self.own}, without=("checkpoints",))

    def amount(self, wildcards):
        """What a job does, in trainings as long as those of the study."""
        return Amount(trainings=math.ceil(len(self.batch.of(wildcards)) * self.epochs / LAST_EPOCH))


def epochs_looked_at(epoch):
    """The epochs at which a network is looked at that goes on from a mean at an epoch."""
    return sorted({epoch, *(min(epoch + after, MEANS_LAST) for after in config["transience"]["after"]), MEANS_LAST})


# Those at which the two networks of a mean are.
ENDS_KEPT = sorted({epoch for mean in MEANS_AT for epoch in epochs_looked_at(mean)})


def training_of_means(wildcards):
    """The training settings of the networks of `transience`."""
    return stable({**training_of(wildcards), **config["transience"]["training"]}, without=("checkpoints",))


class Means:
    """What the jobs of a rule have in hand that trains on from means of two networks.

    Args:
        items: the networks that go on, each with the epoch of its mean.
        by: wildcards of its jobs, where they do not have all of them in hand.
    """

    def __init__(self, items, by):
        self.batch = Batch(items, config["seeds_together"], by=by)

    def ends(self, wildcards):
        """The networks that have a mean, at its epoch."""
        found = []
        for item in self.batch.of(wildcards):
            shared = {"shared": item["shared"]} if "shared" in item else {}
            for seed, how in ((item["seed"], {}), (item.get("source", item["seed"]), shared)):
                found.append({"seed": seed, **how, "epoch": item["mean"]})
        return unique(found)

    def inputs(self, wildcards):
        """Their files."""
        ends = [{**end, "data": "transience"} for end in self.ends(wildcards)]
        files = {"networks": [network(**end) for end in ends], "memories": [memory_file(**end) for end in ends]}
        return {name: expand(paths, model=wildcards.model, width=wildcards.width) for name, paths in files.items()}

    def methods(self, wildcards):
        """The settings of the methods by which networks are matched, by their names."""
        names = unique(item["method"] for item in self.batch.of(wildcards) if "method" in item)
        return {name: stable(METHODS[name]) for name in names if name != "none"}

    def versions(self, wildcards):
        """The versions of what a job does."""
        used = [settings["algorithm"] for settings in self.methods(wildcards).values()]
        return [versions.of(stage) for stage in ("train", "transience", *used)]

    def amount(self, wildcards):
        """What a job does, in trainings as long as those of the study."""
        items, methods = self.batch.of(wildcards), list(self.methods(wildcards).values())
        trainings = math.ceil(sum(MEANS_LAST - item["mean"] for item in items) / LAST_EPOCH)
        return Amount(trainings=trainings, matchings=len(items) // (len(methods) + 1), methods=methods)


MEANS = {
    "continue_children": Means(
        (
            {**end, "mean": epoch}
            for end in ENDS.items
            for epoch in MEANS_AT
            if "shared" in end and end["shared"] <= epoch
        ),
        by=["seed"],
    ),
    "continue_pairs": Means(
        (
            {"seed": a, "data": "transience", "source": b, "mean": epoch, "method": method}
            for a, b in paths.pairs(SEEDS, config["transience"]["pairs"], config["paths"]["seed"])
            for epoch in MEANS_AT
            for method in ("none", *METHODS)
        ),
        by=["seed", "source"],
    ),
}


class Alignment:
    """What the jobs of a rule match.

    Args:
        name: of the rule.
        stages: at which networks are matched.
        by: wildcards of its jobs, where they do not have all methods in hand.
        pairs: of networks.
        shared: whether several jobs may share the pairs.
    """

    def __init__(self, name, stages, by=("method",), pairs=PAIRS, shared=False):
        self.share = SHARE if shared else ""
        self.pairs = pairs
        self.across = {"data": "across"} in stages
        self.data = ["first", "second"] if self.across else ["first"]
        items = ({"method": method, **stage} for method in METHODS for stage in stages)
        self.batch = Batch(items, config["methods_together"], by=by)
        WORK[name] = Work(ESTIMATE, self.amount)

    def methods(self, wildcards):
        """The settings of the methods of a job."""
        return [stable(METHODS[name]) for name in unique(item["method"] for item in self.batch.of(wildcards))]

    def versions(self, wildcards):
        """The versions of the methods of a job."""
        return [versions.of(settings["algorithm"]) for settings in self.methods(wildcards)]

    def stages(self, wildcards):
        """The stages of a job."""
        return unique({key: item[key] for key in item if key != "method"} for item in self.batch.of(wildcards))

    def networks(self, wildcards):
        """The networks that are matched."""
        stages = [{}] * self.across + [stage for stage in self.stages(wildcards) if stage != {"data": "across"}]
        return [{"seed": seed, **stage} for stage in stages for seed in SEEDS]

    def pairs_of(self, wildcards):
        """The pairs of a job."""
        return share(self.pairs, *share_of(wildcards))

    def outputs(self, kind):
        """The files that a job makes, and that go once they are put together where it has a share in hand."""
        files = [permutations(**item, share=self.share, kind=kind) for item in self.batch.patterns]
        return temp(files) if self.share else update(files)

    def files(self, wildcards):
        """The checkpoints of the networks."""
        return expand([network(**item) for item in self.networks(wildcards)], **wildcards)

    def amount(self, wildcards):
        """What a job does."""
        pairs = len(self.stages(wildcards)) * len(self.pairs_of(wildcards)) + self.across * (
            len(SEEDS) + 2 * len(PAIRS)
        )
        return Amount(matchings=pairs, methods=self.methods(wildcards), networks=len(self.networks(wildcards)))


def matchings_of_frames(names):
    """What frames are counted as: matchings of two networks."""
    return [matching for name in names for matching in matchings_of(FRAMES[name])]


def frames_in_hand(wildcards):
    """The names of the frames of a job."""
    return [item["frame"] for item in FRAMES_IN_HAND.of(wildcards)]


def amount_of_frames(wildcards):
    """What a job does."""
    names = frames_in_hand(wildcards)
    return Amount(
        matchings=in_frames(len(SEEDS)),
        methods=matchings_of_frames(names),
        networks=2 * len(SEEDS),
    )


def stages_compared(wildcards):
    """The stages whose permutations are compared: epochs, and levels of pruning where the study prunes this width."""
    prunes = any(ROOMS[name].needs.widths == "pruning.widths" for name in config["experiments"])
    pruned = prunes and int(wildcards.width) in config["pruning"]["widths"]
    return STAGES["history"] + (STAGES["levels"] if pruned else [])


def listed(sets, names, wildcards):
    """What some sets hold, one after another."""
    found = [sets[name](wildcards) if callable(sets[name]) else sets[name] for name in names]
    return [item for items in found for item in items]


def methods_of(room):
    """The matching methods of an experiment by their names: those of the study, and more of its own section."""
    return METHODS | {method["name"]: method for method in config.get(room.name, {}).get("matching", [])}


class Measurement:
    """What the measuring jobs of an experiment have in hand.

    Args:
        room: the experiment.
    """

    def __init__(self, room):
        self.room, self.needs = room, room.needs
        self.data = [name for item in room.needs.data for name in (TASKS if item == "tasks" else [item])]
        self.shares = SHARES if room.needs.shared else 1
        self.share = SHARE if self.shares > 1 else ""
        self.batch = Batch(
            ({"part": part} for part in parts_of(self.needs.parts, room)), config["methods_together"], ["part"]
        )
        self.pairs = HISTORY_PAIRS if self.needs.widths.startswith("history") else PAIRS
        WORK[f"{room.name}_measure"] = Work(ESTIMATE, self.amount)

    def parts(self, wildcards):
        """The parts of a job."""
        return [item["part"] for item in self.batch.of(wildcards)]

    def levels(self, wildcards):
        """The levels of pruning of a job, one for each part, where they are its parts."""
        levels = {f"level{stage['level']}": stage["level"] for stage in STAGES.get("levels", [])}
        return [levels[part] for part in self.parts(wildcards)] if self.needs.parts == ("levels",) else []

    def names(self, known, kind, wildcards):
        """The methods or frames of a job: those among its parts, or all that the experiment uses."""
        if kind in self.needs.parts:
            return [part for part in self.parts(wildcards) if part in known]
        return list(known) if kind in self.needs.uses else []

    def methods(self, wildcards):
        """The settings of the methods of a job."""
        known = methods_of(self.room)
        return [stable(known[name]) for name in self.names(known, "methods", wildcards)]

    def frames(self, wildcards):
        """The settings of the frames of a job."""
        return [stable(FRAMES[name]) for name in self.names(FRAMES, "frames", wildcards)]

    def versions(self, wildcards):
        """The versions of what it does."""
        used = [settings["algorithm"] for settings in self.methods(wildcards) + self.frames(wildcards)]
        used += config[self.room.name][self.needs.algorithms] if self.needs.algorithms else []
        return [self.room.version, *map(versions.of, ["mixtures", *used])]

    def of_levels(self, items, wildcards):
        """The items without those of levels that other jobs have in hand."""
        levels = self.levels(wildcards)
        return [item for item in items if not levels or "level" not in item or item["level"] in levels]

    def networks(self, wildcards):
        """The networks that a job reads."""
        return self.of_levels(listed(NETWORKS_OF, self.needs.states, wildcards), wildcards)

    def masks(self, wildcards):
        """The networks whose masks it reads."""
        return self.of_levels(listed(NETWORKS_OF, self.needs.masks, wildcards), wildcards)

    def stages(self, wildcards):
        """The stages at which it looks, the last epoch among them by its number."""
        names = self.needs.permutations or self.needs.states
        stages = listed(STAGES, [name for name in names if name in ("history", "compared")], wildcards)
        return [stage or {"epoch": LAST_EPOCH} for stage in stages]

    def permutations(self, wildcards):
        """The permutations that it reads."""
        stages = self.of_levels(listed(STAGES, self.needs.permutations, wildcards), wildcards)
        methods = self.names(METHODS, "methods", wildcards)
        return [{"method": method, **stage} for method in methods for stage in stages]

    def inputs(self, wildcards):
        """The files of all these."""
        frames = self.names(FRAMES, "frames", wildcards) if self.needs.frames else []
        files = {
            "data": [DATA[name] for name in self.data],
            "networks": [network(**address) for address in self.networks(wildcards)],
            "masks": [mask_file(**address) for address in self.masks(wildcards)],
            "permutations": [permutations(**address) for address in self.permutations(wildcards)],
            "frames": [frame_file(name) for name in frames],
        }
        return {name: expand(paths, model=wildcards.model, width=wildcards.width) for name, paths in files.items()}

    def settings(self, wildcards):
        """How it measures, and the section of the experiment."""
        found = stable(config[self.room.name], without=self.needs.unread) if self.room.settings else {}
        if self.needs.data:
            without = ["points"] + (["correction"] if not self.needs.corrected else [])
            if self.needs.corrected and config["barrier"]["correction"] == "none":
                without += ["fit_images", "last_layer"]
            if not config["barrier"]["last_layer"]:
                without.append("last_layer")  # what was measured before this could be chosen stays as it is
            found |= stable(config["barrier"], without=without)
        if self.needs.strong and STRONG is not None:
            found["strong"] = STRONG
        if self.needs.points:
            section, _, key = self.needs.points.partition(".")
            found["points"] = config[section][key]
        if "tickets" in self.needs.states:
            found["rewound"] = REWIND
        if self.needs.masks:
            found["output_layer"] = pruning_of(wildcards)["output_layer"]
        return stable(found)

    def evaluations(self, wildcards):
        """How many mixtures of networks it measures, about."""
        return self.amount(wildcards).evaluations

    def amount(self, wildcards):
        """What a job does."""
        methods, frames = self.methods(wildcards), self.frames(wildcards)
        networks = self.networks(wildcards)
        counts = Counts(
            networks=len(SEEDS),
            pairs=len(self.pairs),
            strong=len(SEEDS) * math.comb(len(SEEDS) - 1, 2) if STRONG is None else len(STRONG),
            methods=len(methods),
            frames=len(frames),
            unpermuted=int("none" not in self.needs.parts or "none" in self.parts(wildcards)),
            states=len(networks),
            stages=len(self.stages(wildcards)),
            layers=len(ESTIMATE.layers_of(wildcards.model, int(wildcards.width))),
        )
        work = self.room.work(self.settings(wildcards), counts)
        framings = work.get("framings", 0)
        return Amount(
            matchings=in_frames(framings) or work.get("matchings", 0),
            methods=matchings_of_frames([frame["name"] for frame in frames]) if framings else methods,
            evaluations=math.ceil(work.get("evaluations", 0) / self.shares),
            correction=work.get("correction"),
            networks=len(networks),
        )


def parts_of(kinds, room):
    """The names of the parts of a measurement: `none`, methods, frames, levels; `all` where it is not divided."""
    names = {
        "none": ["none"],
        "methods": list(methods_of(room)),
        "frames": list(FRAMES),
        "levels": [f"level{stage['level']}" for stage in STAGES.get("levels", [])],
    }
    return [name for kind in kinds for name in names[kind]] if kinds else ["all"]


def configurations_of(room):
    """The models and widths at which an experiment is measured: where it finds every network that it needs."""
    return [
        (model, width)
        for model, width in configurations_at(room.needs.widths)
        if all(
            NETWORKS_OF[name](SimpleNamespace(model=model, width=width))
            for name in room.needs.states
            if callable(NETWORKS_OF.get(name))
        )
    ]


def gathered(room, wildcards):
    """The files from which the tables of an experiment are made, by the names of their sources."""
    files = {}
    for source, kinds in room.gathers.items():
        kind, _, name = source.rpartition(" ")
        if kind == "table":
            files[f"table_{name}"] = TABLE.format(table=name)
            continue
        shares = [f".{number}-of-{SHARES}" for number in range(1, SHARES + 1)] if SHARES > 1 else [""]
        files[source] = [
            gathered_file(source, part, share).format(model=model, width=width)
            for model, width in configurations_of(room)
            for part in parts_of(kinds, room)
            for share in (shares if source in ROOMS and ROOMS[source].needs.shared else [""])
        ]
    for name in room.tables:
        if name != room.name:
            files[name] = [
                measurement_file(name, "all").format(model=model, width=width)
                for model, width in configurations_of(room)
            ]
    return files


def gathered_file(source, part, share):
    """A file that a table is made from."""
    if source == "matching":
        return permutations(method=part, kind="csv")
    if source == "frame":
        return frame_file(part, kind="csv")
    return measurement_file(source, f"{part}{share}")


def measurement_file(table, part):
    """A measurement, of which model and width are wildcards."""
    return MEASUREMENT.replace("{table}", table).replace("{part}", part)


def settings_of_table(room):
    """The settings of its section that a table depends on, and the number of points."""
    found = stable(config[room.name], without=room.needs.unread) if room.settings else {}
    section, _, key = (room.needs.points or "").partition(".")
    return stable({**found, "points": config[section][key]} if section else found)


def asked(room, wildcards):
    """The results of an experiment that was asked for by its name; the line that says why it cannot be had."""
    if config["networks"] and validation.trains(room):
        validation.refuse_training("networks", room.name)
    validation.check_networks("seeds", SEEDS, [room])
    validation.check_experiment(config, room)
    validation.check_matched(room, pairs_needed(room), MATCHED)
    return results_of([room.name])
