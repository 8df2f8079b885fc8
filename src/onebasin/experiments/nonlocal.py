"""Can experts of several tasks be merged, and what do corrected statistics restore?

Experts of several tasks, each with a last layer of its own: all other layers are merged, and on each task the merged
network has the last layer of the task's expert. *Common*: experts that were trained from one network; *independent*:
from networks of different seeds. *Mean* of their parameters, as they are or brought into one frame by a method for n
networks, on images of all tasks; *task vectors*: the common start plus the sum of what each expert learned, times a
coefficient (arXiv 2212.04089). Drawn is the error on test data of a task above that of its expert, with nothing
corrected, with running statistics of batch norm reset, with the statistics of each channel set to the mean of what they
are in the experts (REPAIR), on images of all tasks at once or of the task alone (*own images*), and to what they are in
the expert of the task (*expert's*; TACT, `arXiv 2410.12766 <https://arxiv.org/abs/2410.12766>`_). The last layer is not
corrected. Right: variance of activations where they are corrected, over that in the expert, with nothing corrected and
all tasks merged. Fitted on at most {barrier[fit_images]} training images.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METHOD, NUMBER, SPLIT, TEXT, WHOLE, Column
from onebasin.experiments import TEXTS, Counts, Needs, Row, corrections, widths
from onebasin.experiments.consensus import subsets
from onebasin.experiments.layers import hybrid
from onebasin.experiments.transfer import like
from onebasin.landscape.barrier import METRICS
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series
    from torch import Tensor

    from onebasin.figures.style import Mark
    from onebasin.landscape.repair import Correction
    from onebasin.study.study import Study
    from onebasin.symmetry import State

PLACE, CATEGORY = 186, "Other sizes and other data"
NEEDS = Needs(
    networks=2,
    purpose="a pair of experts of different starts",
    widths="nonlocal.widths",
    points=None,
    corrected=False,
    states=("experts",),
    data=("tasks",),
    parts=("none", "frames"),
)
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which experts are merged, for every model that has them."),
    "tasks": {
        "description": "The data sets, of the same image shape and classes; they lie in `data.data_dir`.",
        "type": "array",
        "minItems": 2,
        "uniqueItems": True,
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "variant"],
            "properties": {
                "name": {
                    "description": "Name of the data set; same for that of the study.",
                    "$ref": "#/$defs/second_data_set",
                },
                "variant": {"$ref": "#/properties/transfer/properties/data/properties/variant"},
            },
        },
    },
    "subsets": {
        "description": "Which tasks are merged: nested, the first two, the first three … all; or all subsets of two "
        "and more.",
        "type": "string",
        "enum": ["nested", "all"],
    },
    "starts": {
        "description": "Epochs of the network of the same seed, on the study's data, from which experts are trained; "
        "0 is its initialisation.",
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "minItems": 1,
        "uniqueItems": True,
    },
    "coefficients": {
        "description": "What the sum of task vectors is multiplied by.",
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "uniqueItems": True,
    },
    "corrections": corrections(tasks=True),
}
COLUMNS = (
    *CONFIGURATION,
    Column("start", WHOLE, "epochs of the network from which experts were trained; 0 is an initialisation"),
    Column("origin", TEXT, "`common` or `independent`: experts of one start, or each of another seed's"),
    Column("merge", TEXT, "`mean` of parameters, or `vectors`: the start and the sum of task vectors"),
    Column("coefficient", NUMBER, "what this sum is multiplied by; empty for the mean", True),
    *METHOD,
    Column(
        "correction", TEXT, "`none`, `reset`, `repair`, `task`: how the statistics of the merged network were corrected"
    ),
    Column("fitted", TEXT, "`all` or `own`: on images of all merged tasks at once, or of the task alone; `none`"),
    Column("count", WHOLE, "number of tasks that were merged"),
    Column("tasks", TEXT, "these tasks, joined by `+`"),
    Column("task", TEXT, "the task on whose data it is measured"),
    Column("seed", WHOLE, "seed of the common start, or of that of the expert of the first task of all"),
    SPLIT,
    Column(
        "metric",
        TEXT,
        "`loss` (cross-entropy, nats), `error` (fraction of labels missed, 0 to 1), `loss_calibrated` (nats), or "
        "`variance` (of the outputs of a layer, mean over its channels)",
    ),
    Column(
        "layer", WHOLE, "number of the layer among those that are corrected, from 1 at the input; of variances", True
    ),
    Column("value", NUMBER, "the metric of the merged network, in its unit"),
    Column("expert", NUMBER, "the metric of the expert of the task, in its unit"),
    Column("excess", NUMBER, "value less that of the expert; empty for variances", True),
    Column("ratio", NUMBER, "value over that of the expert, for variances; empty where that is 0", True),
)

ALL = "all"
"""What stands for the images of all tasks that are merged, in equal shares."""
FITTED = {"none": ("none",), "reset": ("all", "own"), "repair": ("all", "own"), "task": ("own",)}
"""On which images each correction is fitted."""


def tasks(section: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the data sets of the tasks, by the names that they have in addresses, such as "tasks/digits-rotated".

    Args:
        section: the section of the config.
    """
    found = {}
    for task in section["tasks"]:
        variant = "" if task["variant"] == "none" else f"-{task['variant']}"
        found[f"tasks/{task['name']}{variant}"] = task
    return found


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse tasks given twice, of other images, or more of them than networks; late starts; frames of one task."""
    section, first = config["nonlocal"], config["data"]["name"]
    if first in TEXTS:
        yield "data.name", f"{first!r} is text, which makes no other tasks. Allowed: a data set of images"
    named = [(first if task["name"] == "same" else task["name"], task["variant"]) for task in section["tasks"]]
    for index, (name, variant) in enumerate(named):
        key = f"nonlocal.tasks[{index}]"
        if name not in like(first):
            allowed = f"Allowed: {', '.join(like(first))}"
            yield f"{key}.name", f"{name!r} has other images or classes than {first!r}. {allowed}"
        if (name, variant) in named[:index]:
            yield key, f"{name!r}, variant {variant!r}, is given twice. Allowed: each once"
    if len(named) > len(config["seeds"]):
        yield (
            "nonlocal.tasks",
            f"{len(named)} tasks need as many independent starts. Allowed: at most {len(config['seeds'])}, the number "
            "of seeds",
        )
    epochs = config["training"]["epochs"]
    for index, start in enumerate(section["starts"]):
        if start > epochs:
            yield (
                f"nonlocal.starts[{index}]",
                f"{start} is not allowed. Allowed: epochs up to training.epochs, {epochs}",
            )
    for index, frame in enumerate(config["frames"]):
        if frame["algorithm"] == "sinkhorn":
            allowed = "Allowed: frames by weights or activations"
            yield f"frames[{index}].algorithm", f"'sinkhorn' learns from labels of one task, not of several. {allowed}"


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count the merged networks of every set of tasks on each of them, under each correction."""
    sets = subsets(range(len(settings["tasks"])), settings["subsets"])
    merged = sum(len(one) for one in sets)
    # Reset and REPAIR are fitted twice, and vectors are of common starts alone.
    variants = len(settings["corrections"]) + len({"reset", "repair"} & {*settings["corrections"]})
    ways = 2 * (counts.unpermuted + counts.frames) + counts.unpermuted * len(settings["coefficients"])
    groups = counts.networks * len(settings["starts"])
    return {
        "evaluations": groups * ways * merged * variants,
        "framings": 2 * groups * merged if counts.frames else 0,
        "correction": "repair",
    }


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure what is merged of every set of tasks, of common and of independent starts, under every correction."""
    names = list(tasks(settings))
    for start in settings["starts"]:
        for origin in ("common", "independent"):
            for first, seed in enumerate(study.seeds):
                # The i-th task has the i-th seed from here on, around in a circle: no two sets share an expert.
                shift = 0 if origin == "common" else 1
                seeds = [study.seeds[(first + shift * i) % len(study.seeds)] for i in range(len(names))]
                experts = {
                    name: study.state({"seed": own, "data": name, "start": start})
                    for name, own in zip(names, seeds, strict=True)
                }
                begin = study.state({"seed": seed, "data": names[0], "start": start, "epoch": 0})
                about = {**study.configuration, "start": start, "origin": origin, "seed": seed}
                for chosen in subsets(range(len(names)), settings["subsets"]):
                    merging = _Merging(study, settings, {names[place]: experts[names[place]] for place in chosen})
                    yield from merging.rows(about, begin if origin == "common" else None)


class _Merging:
    """Merges the experts of some tasks, and measures what comes of it on each task.

    Args:
        study: the model and its data.
        settings: of the measurement.
        experts: the state of each, by the names of the tasks.
    """

    def __init__(self, study: Study, settings: Mapping[str, Any], experts: Mapping[str, State]) -> None:
        from torch import cat

        from onebasin import symmetry

        self.study, self.settings, self.experts = study, settings, experts
        self.layers = symmetry.layers(study.model, study.images("train", 2)[0])
        limit, share = settings["fit_images"], max(settings["fit_images"] // len(experts), 2)
        found = [study.dataset(task).tensors("train", limit, study.device) for task in experts]
        self.images = {task: images for task, (images, _) in zip(experts, found, strict=True)}
        together, labels = (cat([part[:share] for part in parts]) for parts in zip(*found, strict=True))
        self.images[ALL] = together
        self.merged = dict(experts)
        if study.method.is_frame:
            numbered = dict(enumerate(experts.values()))
            frame = study.match_frame(numbered, study.method, images=(together, labels))
            for place, task in enumerate(experts):
                self.merged[task] = study.symmetry.apply(frame[place], experts[task])
        self._corrections: dict[tuple[str, str], Correction | None] = {}

    def rows(self, about: Row, start: State | None) -> Iterator[Row]:
        """Measure the mean, and where nothing is permuted and there is a common start, what task vectors make of it."""
        from onebasin.landscape.interpolate import interpolate

        count = len(self.merged)
        about = {**about, **self.study.method.columns, "count": count, "tasks": "+".join(map(_short, self.merged))}
        mean = interpolate([*self.merged.values()], [1 / count] * count)
        yield from self._measured({**about, "merge": "mean", "coefficient": None}, mean)
        if start is not None and not self.study.method.is_frame:
            for coefficient in self.settings["coefficients"]:
                vectors = with_vectors(start, mean, coefficient * count, self.study.symmetry.parameters)
                yield from self._measured({**about, "merge": "vectors", "coefficient": float(coefficient)}, vectors)

    def _measured(self, about: Row, body: State) -> Iterator[Row]:
        """Measure what was merged, under every correction, on every task."""
        plain: dict[str, list[Row]] = {}
        for correction in self.settings["corrections"]:
            for fitted in FITTED[correction]:
                named = {**about, "correction": correction, "fitted": fitted}
                done: dict[str, State] = {}
                for task in self.merged:
                    on = ALL if fitted == "all" else task
                    if on not in done:
                        done[on] = body if correction == "none" else self._corrected(correction, on, body)
                    if done[on] is not body:
                        rows = list(self._compared(task, done[on]))
                    else:  # nothing is corrected, or there is nothing to reset
                        rows = plain[task] = plain.get(task) or list(self._compared(task, body))
                    yield from ({**named, "task": _short(task), **row} for row in rows)

    def _corrected(self, correction: str, on: str, body: State) -> State:
        """Return what was merged, corrected on some images; as it is where the model has nothing to reset."""
        from onebasin.landscape import repair

        count = len(self.merged)
        if (correction, on) not in self._corrections:
            expert = [*self.merged].index(on) if correction == "task" else None
            self._corrections[correction, on] = repair.correction(
                correction, self.study.model, [*self.merged.values()], self.images[on], expert=expert
            )
        correct = self._corrections[correction, on]
        return correct(body, [1 / count] * count) if correct else body

    def _compared(self, task: str, body: State) -> Iterator[Row]:
        """Measure what was merged, with the last layer of the expert of a task, and the expert itself."""
        state = hybrid(self.layers, {len(self.layers)}, self.merged[task], body)
        seen = (self._values(task, one) for one in (state, self.experts[task]))
        for (split, metric, value), (*_, expert) in zip(*seen, strict=True):
            row = {"split": split, "metric": metric, "layer": None, "value": value, "expert": expert}
            yield {**row, "excess": value - expert, "ratio": None}
        seen_variances = (self._variances(task, one) for one in (state, self.experts[task]))
        for layer, (value, expert) in enumerate(zip(*seen_variances, strict=True), start=1):
            row = {"split": "train", "metric": "variance", "layer": layer, "value": value, "expert": expert}
            yield {**row, "excess": None, "ratio": value / expert if expert else None}

    def _values(self, task: str, state: State) -> list[tuple[str, str, float]]:
        """Return split, metric and value of everything that is measured of a network on a task."""
        import torch

        points = self.study.measurement_on(task).points([state], torch.ones(1, 1), correction="none")
        return [
            (str(values["split"]), metric, float(values[metric]))
            for _, values in points
            for metric in METRICS
            if values[metric] is not None
        ]

    def _variances(self, task: str, state: State) -> list[float]:
        """Return the variance of each layer that is corrected on images of a task, mean over its channels."""
        from onebasin.landscape.repair import statistics

        found = statistics(self.study.model, state, self.images[task])
        return [float(deviation.double().square().mean()) for _, deviation in found.values()]


def with_vectors(start: State, mean: State, weight: float, parameters: Collection[str]) -> dict[str, Tensor]:
    """Return a start and the weighted sum of task vectors, what n networks that were trained from it differ from it by.

    Args:
        start: the state from which the networks were trained.
        mean: the mean of their states.
        weight: n times the coefficient of the sum; at 1 this is their mean.
        parameters: the keys of parameters. Running statistics are no place from which a step could be taken, and are
            those of the mean.
    """
    return {key: start[key].lerp(mean[key], weight) if key in parameters else mean[key] for key in mean}


def _short(task: str) -> str:
    """Return the name of a task in tables."""
    return task.removeprefix("tasks/")


def _changes(table: DataFrame) -> DataFrame:
    """Add by how much a common frame changes the excess of the mean of the same experts."""
    keys = [
        "model",
        "width",
        "start",
        "origin",
        "correction",
        "fitted",
        "tasks",
        "task",
        "seed",
        "split",
        "metric",
        "layer",
    ]
    plain = table["excess"].where((table["method"] == "none") & (table["merge"] == "mean"))
    plain = plain.groupby([table[key] for key in keys], dropna=False).transform("max")
    return table.assign(change=(table["excess"] - plain).where(table["method"] != "none"))


SUMMARY = Summary(
    "model width start origin merge coefficient method correction fitted count split metric layer",
    "value expert excess ratio change",
    "seed",
    _changes,
)


def finding(table: DataFrame) -> str:
    """Say what corrections leave of the excess of merged experts, and whether alignment matters by task."""
    from onebasin import findings

    rows = findings.where(summarise(table, SUMMARY), metric="error", split="test", origin="independent", merge="mean")
    sentences = []
    for _, part in rows.groupby(["model", "start"], sort=False):
        model, start = part["model"].iloc[0], int(part["start"].iloc[0])
        most, width = int(part["count"].max()), part["width"].max()
        widest = findings.where(part, count=most, width=width)
        told = [
            f"{findings.way(group.iloc[0])} by {findings.each(group, _how, 'excess')}"
            for _, group in widest.groupby("method", sort=False)
        ]
        sets = findings.counted(int(widest["networks"].max()), "set")
        begun = f" at epoch {start}" if start else ""
        sentences.append(
            f"On test images, {most} merged experts {model} {width} of independent starts{begun} err more than each "
            f"alone: {'; '.join(told)} ({sets} of experts)."
        )
        for method, of_task in findings.where(part, correction="task").groupby("method", sort=False):
            if method != "none":
                verdicts = [
                    f"with {count} tasks by {_verdicts(findings.where(of_task, count=count))}"
                    for count in sorted({int(of_task["count"].min()), most})
                ]
                sentences.append(
                    f"With the statistics of the task's expert, {method} changes the error {'; '.join(verdicts)}."
                )
    return findings.joined(sentences)


def _how(row: Series) -> str:
    """Say how a merged network was corrected."""
    own = {"all": " on images of all tasks", "own": " on those of the task"}.get(row["fitted"], "")
    named = {"none": "with nothing corrected", "reset": f"reset{own}", "repair": f"with REPAIR{own}"}
    return named.get(row["correction"], "with the expert's statistics")


def _verdicts(rows: DataFrame) -> str:
    """Say at which widths the error changes, and by how much."""
    from onebasin import findings

    return findings.each(rows.sort_values("width"), _decided, "change")


def _decided(row: Series) -> str:
    sign = "lower" if row["change_high"] < 0 else "higher" if row["change_low"] > 0 else "not decided"
    return f"at width {row['width']} ({sign})"


TITLES = {
    ("none", "none"): "nothing\ncorrected",
    ("reset", "all"): "reset,\nall images",
    ("reset", "own"): "reset,\nown images",
    ("repair", "all"): "REPAIR,\nall images",
    ("repair", "own"): "REPAIR,\nown images",
    ("task", "own"): "those of\nthe expert",
}
"""The columns of the figure: a correction, and the images on which it was fitted."""
Way = tuple[str, str, float | None, str]
"""How experts are merged: origin, merge, coefficient and method."""
NARROW = (("none", "none"), ("repair", "own"), ("task", "own"))
"""Those that one column of a paper has room for."""
LEAST = 1e-3
"""No ratio of variances is drawn lower than this."""


def figure(table: DataFrame) -> Figure:
    """Draw the excess of the test error against the number of tasks, a row of panels for each model and width, a column
    for each correction; right, the variance by layer of what was merged of most tasks, uncorrected.
    """
    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend
    from onebasin.figures.series import handles

    rows = style.unique(zip(table["model"], table["width"], table["start"], strict=True))
    marks = _marks(table)
    errors = _by_sets(table[(table["metric"] == "error") & (table["split"] == "test")], "excess")
    variances = table[(table["metric"] == "variance") & (table["correction"] == "none") & (table["ratio"] > 0)]
    variances = _by_sets(variances, "ratio")
    seen = set(zip(errors["correction"], errors["fitted"], strict=True))
    # One column of a paper has no room for all of them.
    titles = {key: title for key, title in TITLES.items() if key in seen and (key in NARROW or not style.narrow())}
    drawn, lines = panels.grid(len(rows), len(titles) + 1, 1.4, extra=0.3, width_ratios=[*[1.0] * len(titles), 1.4])
    for (model, width, start), line in zip(rows, lines, strict=True):
        of_errors, of_variances = (
            part[(part["model"] == model) & (part["width"] == width) & (part["start"] == start)]
            for part in (errors, variances)
        )
        _draw_errors(line[:-1], of_errors, list(titles), marks)
        _draw_variances(line[-1], of_variances[of_variances["count"] == of_variances["count"].max()], marks)
        begun = f"\nfrom epoch {start}" if table["start"].nunique() > 1 else ""
        line[0].set_ylabel(f"{model}, width {width}{begun}\nerror above expert's")
    for axis, title in zip(lines[0], [*titles.values(), "variance over\nexpert's"], strict=True):
        axis.set_title(title)
    for axis in lines[-1][:-1]:
        axis.set_xlabel("tasks")
    lines[-1][-1].set_xlabel("layer")
    counts = sorted(table["count"].unique())
    sizes = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    one = f"one of {table['seed'].nunique()} sets of {sizes} networks, mean over tasks"
    legend(drawn, [*(mark.handle() for mark in marks.values()), *handles(one)], 3)
    return drawn


def _draw_errors(
    axes: Sequence[Axes], table: DataFrame, corrections: Sequence[tuple[str, str]], marks: Mapping[Way, Mark]
) -> None:
    """Draw the excess against the number of tasks, one panel for each correction, all on one scale."""
    from onebasin.figures import panels, style
    from onebasin.figures.series import beside, series

    counts = sorted(table["count"].unique())
    for axis in axes[1:]:
        axis.sharey(axes[0])
        axis.tick_params(labelleft=style.narrow())
    for (correction, fitted), axis in zip(corrections, axes, strict=True):
        part = table[(table["correction"] == correction) & (table["fitted"] == fitted)]
        panels.bands(axis, counts)
        for slot, (way, mark) in enumerate(marks.items()):
            rows = part[_of_way(part, way)]
            series(axis, rows, "excess", mark, beside(axis, rows["count"], slot, len(marks)), ["seed"])
        axis.set_xticks(counts)
        axis.set_xlim(min(counts) - 0.5, max(counts) + 0.5)
    axes[0].set_ylim(min(0.0, 1.08 * table["excess"].min()), 1.08 * table["excess"].max() or 1.0)


def _draw_variances(axis: Axes, table: DataFrame, marks: Mapping[Way, Mark]) -> None:
    """Draw the ratio of variances by layer, on a logarithmic scale."""
    from onebasin.figures import panels
    from onebasin.figures.series import beside, series

    layers = sorted(int(layer) for layer in table["layer"].unique())
    low, high = (float(end) for end in (table["ratio"].min(), table["ratio"].max()))
    floor = max(low, LEAST)
    panels.bands(axis, layers)
    for slot, (way, mark) in enumerate(marks.items()):
        rows = table[_of_way(table, way)]
        series(axis, rows, "ratio", mark, beside(axis, rows["layer"], slot, len(marks)), ["seed"], floor=floor)
    axis.set_xticks(layers)
    panels.log_axis(axis, min(floor, 1.0) / 1.4, max(high, 1.0) * 1.4, floor=LEAST if low < LEAST else None)
    axis.axhline(1, color="black", linewidth=0.6, zorder=1)


def _by_sets(table: DataFrame, value: str) -> DataFrame:
    """Return the mean of a column over the tasks on which each merged network was measured."""
    columns = [*(key for key in SUMMARY.keys.split() if key not in ("split", "metric")), "tasks", "seed"]
    return table.groupby(columns, sort=False, dropna=False)[value].mean().reset_index()


def _of_way(table: DataFrame, way: Way) -> Any:
    """Return which rows are of one way to merge."""
    origin, merge, coefficient, method = way
    found = (table["origin"] == origin) & (table["merge"] == merge) & (table["method"] == method)
    return found & ((table["coefficient"] == coefficient) if coefficient is not None else True)


def _marks(table: DataFrame) -> dict[Way, Mark]:
    """Return the mark of each way to merge: filled for a common start, open and dashed for independent ones."""
    from dataclasses import replace

    from onebasin.figures import style

    methods = style.method_marks(table)
    given = [value for value in style.unique(table["coefficient"]) if value == value and value is not None]
    found: dict[Way, Mark] = {}
    for method, mark in methods.items():
        named = "mean" if method == "none" else f"mean, {mark.label}"
        found["common", "mean", None, method] = replace(mark, label=f"common start: {named}", line="-")
        if method == "none":
            for index, value in enumerate(given):
                look = style.Mark(f"common start: vectors × {value:g}", style.OKABE_ITO[4 + index % 2], "^")
                found["common", "vectors", float(value), method] = look
    for method, mark in methods.items():
        named = "mean" if method == "none" else f"mean, {mark.label}"
        own = replace(mark, label=f"independent: {named}", filled=False, line=(0, (3, 1.5)))
        found["independent", "mean", None, method] = own
    return found
