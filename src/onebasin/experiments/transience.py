"""Is the mean of two networks better, and does it stay better when training goes on from it?

Two networks are halted at an epoch, and their mean trains on with the rest of the schedule, with the batches of the
first of them, and with the mean of what the two optimisers remember (Iyer, Dziugaite, Rolnick 2024). *Child*: a network
and its child, which share epochs and then see the images in another order. *Independent*: two networks of a pair, the
second as it is, or permuted to match the first at that epoch. Grey: the two networks at the same epochs. The *gain* is
their mean error less the error of the mean. An image is *hard* if at least {transience[hard]} of the other networks of
the study miss it at the epoch of the mean, and else easy. Below: the training error barrier between the network that
went on from the mean and each of the two, and in grey that between the two, in the frame of the first. Trained on
{transience[data][name]} as `transience.data` says, which may give training images wrong labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onebasin.columns import CONFIGURATION, METHOD, METRIC, NUMBER, PAIR, SPLIT, TEXT, WHOLE, Column
from onebasin.experiments import Counts, Needs, Row, own_networks, widths, wrong_labels
from onebasin.landscape.barrier import barriers
from onebasin.summaries import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series
    from torch import Tensor

    from onebasin.study.study import Address, Study
    from onebasin.symmetry import State

PLACE, CATEGORY = 88, "Along training"
NEEDS = Needs(
    networks=3,
    purpose="a pair, and one that says which images are hard",
    widths="transience.widths",
    points="transience.points",
    states=("transience",),
    data=("transience",),
    unread=("widths", "shared", "epochs", "after", "pairs", "data", "training"),
)
_EPOCHS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True}
SETTINGS: dict[str, Any] = {
    "widths": widths("Widths at which training goes on from means, for every model that has them."),
    "shared": {
        "description": "Epochs that a child shares with its network; children are left out where the mean is taken "
        "before.",
        **_EPOCHS,
    },
    "epochs": {"description": "Epochs at which the mean of two networks is taken.", **_EPOCHS},
    "after": {
        "description": "Epochs after the mean at which networks are looked at, besides the mean and the last one.",
        **_EPOCHS,
        "items": {"type": "integer", "minimum": 1},
        "minItems": 0,
    },
    "pairs": {
        "description": "Pairs of independent networks, as for `paths.weak`.",
        "anyOf": [{"enum": ["all", "disjoint"]}, {"type": "integer", "minimum": 1}],
    },
    "hard": {
        "description": "Share of the other networks that miss a hard image, at least.",
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
    },
    "points": {"description": "Points on the line between two networks.", "type": "integer", "minimum": 2},
    **own_networks(),
}
COLUMNS = (
    *CONFIGURATION,
    Column("kind", TEXT, "`child`: the mean of a network and its child; `independent`: that of two networks"),
    Column("shared", WHOLE, "epochs that a network and its child share; empty for independent networks", True),
    *METHOD,
    Column("epoch", WHOLE, "epoch at which the mean was taken"),
    Column("further", WHOLE, "epochs of training since then"),
    PAIR[0],
    PAIR[1].meant("seed of the second network, that of a for its child"),
    Column("network", TEXT, "`mean`: what went on from the mean; `a` or `b`: one of the two, after as many epochs"),
    SPLIT,
    METRIC,
    Column("value", NUMBER, "the metric of this network, in its unit"),
    Column("easy", NUMBER, "the metric of this network on easy images; empty where there are none", True),
    Column("hard", NUMBER, "the metric of this network on hard images; empty where there are none", True),
    Column("hard_share", NUMBER, "share of the images that are hard, as networks besides a and b judge, 0 to 1"),
    Column(
        "barrier",
        NUMBER,
        "barrier from this network to `mean`, and for `mean` that between a and b, b in the frame of a; in the unit of "
        "the metric",
    ),
)


def check(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Refuse means after the last epoch, children that no mean is taken of, and wrong labels of text."""
    section = config["transience"]
    epochs = section["training"].get("epochs", config["training"]["epochs"])
    for index, epoch in enumerate(section["epochs"]):
        if epoch >= epochs:
            allowed = f"Allowed: epochs below those of its training, {epochs}"
            yield f"transience.epochs[{index}]", f"{epoch} is not allowed. {allowed}"
    last = max(section["epochs"])
    for index, shared in enumerate(section["shared"]):
        if shared > last:
            yield f"transience.shared[{index}]", f"{shared} is not allowed. Allowed: up to the last mean, {last}"
    yield from wrong_labels(config, "transience")


def work(settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
    """Count every network, and three lines for each: an estimate from above, for ends have none of their own."""
    return {"evaluations": counts.states * (1 + 3 * settings["points"])}


def measure(study: Study, settings: Mapping[str, Any]) -> Iterator[Row]:
    """Measure what went on from each mean, and the two networks beside it, at every epoch that is looked at."""
    looks: dict[str, Look] = {}

    def look(address: Address) -> Look:
        key = str(address)
        if key not in looks:
            looks[key] = _look(study, study.state(address))
        return looks[key]

    for address in study.every_network():
        if "mean" not in address:
            continue
        seed, epoch, at = address["seed"], address["epoch"], address["mean"]
        shared = {"shared": address["shared"]} if "shared" in address else {}
        other = {"seed": address.get("source", seed), "data": address["data"], **shared}
        plain = {"seed": seed, "data": address["data"]}
        hard = _hard(study, settings["hard"], plain, at, {seed, other["seed"]}, look)
        method = {"none": study.unpermuted, **study.methods}[address.get("method", "none")]
        states = {"mean": study.state(address), "a": study.state({**plain, "epoch": epoch})}
        states["b"] = _moved(study, plain, other, at, epoch, method)
        seen = {"mean": look(address), "a": look({**plain, "epoch": epoch}), "b": look({**other, "epoch": epoch})}
        about = {**study.configuration, "kind": "child" if shared else "independent", "shared": None, **shared}
        about |= {**method.columns, "epoch": at, "further": epoch - at, "a": seed, "b": other["seed"]}
        for name, ends in (("mean", ("a", "b")), ("a", ("a", "mean")), ("b", ("b", "mean"))):
            lines = study.curve((states[ends[0]], states[ends[1]]), {}, points=settings["points"])
            for row in barriers(lines):
                split, metric = row["split"], row["metric"]
                if metric not in seen[name][split]:
                    continue
                values, is_hard = seen[name][split][metric], hard[split]
                yield {
                    **about,
                    "network": name,
                    "split": split,
                    "metric": metric,
                    "value": float(values.mean()),
                    "easy": float(values[~is_hard].mean()) if not is_hard.all() else None,
                    "hard": float(values[is_hard].mean()) if is_hard.any() else None,
                    "hard_share": float(is_hard.double().mean()),
                    "barrier": row["barrier"],
                }


Look = dict[str, dict[str, "Tensor"]]
"""For each split and metric the value of each label [N], float64."""


def _look(study: Study, state: State) -> Look:
    """Return the loss of a network on each label of the images on which it is measured, and which of them it misses."""
    from torch import cat
    from torch.nn.functional import cross_entropy

    from onebasin.landscape.targets import flat
    from onebasin.symmetry import Network

    network, size, found = Network(study.model, state), study.settings["batch_size"], {}
    for split, limit in (("train", study.settings["train_images"]), ("test", None)):
        images, labels = study.images(split, limit)
        parts = [flat(network(x), y) for x, y in zip(images.split(size), labels.split(size), strict=True)]
        logits, targets = (cat(part) for part in zip(*parts, strict=True))
        losses = cross_entropy(logits, targets, reduction="none").double()
        found[split] = {"loss": losses, "error": (logits.argmax(1) != targets).double()}
    return found


def _hard(study: Study, share: float, plain: Address, at: int, judged: set[int], look: Any) -> dict[str, Tensor]:
    """Return for each split which labels are hard: networks besides those that are judged say so."""
    from torch import stack

    judges = [look({**plain, "seed": seed, "epoch": at}) for seed in study.seeds if seed not in judged]
    return {split: stack([judge[split]["error"] for judge in judges]).mean(0) >= share for split in judges[0]}


def _moved(study: Study, plain: Address, other: Address, at: int, epoch: int, method: Any) -> State:
    """Return the second of two networks at an epoch, in the frame in which their mean was taken."""
    state = study.state({**other, "epoch": epoch})
    if method.name == "none":
        return state
    first, second = (study.state({**end, "epoch": at}) for end in (plain, other))
    return study.symmetry.apply(study.match(first, second, method), state)


VALUES = ("value", "easy", "hard")


def _gains(table: DataFrame) -> DataFrame:
    """Add how far what went on from a mean lies below the mean of the two networks: its gain."""
    keys = [column.name for column in COLUMNS[: COLUMNS.index(PAIR[0])]] + ["a", "b", "split", "metric"]
    is_mean = table["network"] == "mean"
    found = {}
    for value in VALUES:
        ends = table[value].where(~is_mean).groupby([table[key] for key in keys], dropna=False).transform("mean")
        found[f"gain_{value}"] = (ends - table[value]).where(is_mean)
    return table.assign(**found).rename(columns={"gain_value": "gain"})


SUMMARY = Summary(
    "model width kind shared method epoch further network split metric",
    "value easy hard gain gain_easy gain_hard hard_share barrier",
    "a b",
    _gains,
)


def _variant(row: Series) -> tuple[Any, ...]:
    """Return what tells the kinds of means apart."""
    return (row["kind"], None if row["kind"] == "independent" else int(row["shared"]), row["method"])


def finding(table: DataFrame) -> str:
    """Say what the last mean gains at once, soon and in the end, by difficulty, and what it is then connected to."""
    from onebasin import findings

    sentences = []
    for name, part in findings.widest(findings.where(summarise(table, SUMMARY), metric="error")):
        rows = part[part["epoch"] == part["epoch"].max()]
        apart = findings.where(rows, kind="independent", split="test", network="mean")
        aligned = apart[(apart["method"] != "none") & (apart["further"] == 0)]
        best = findings.best(aligned, "value")["method"] if len(aligned) else None
        for variant in dict.fromkeys(_variant(row) for _, row in rows.iterrows()):
            if variant[0] == "independent" and variant[2] != best:
                continue
            mine = rows[[_variant(row) == variant for _, row in rows.iterrows()]]
            gained = findings.where(mine, network="mean", split="test").sort_values("further")
            looked = gained[gained["further"].isin([*gained["further"][:2], gained["further"].max()])]
            ends = looked.iloc[[0, -1]]
            last = findings.where(mine, further=gained["further"].max(), split="train")
            lines = findings.listed(
                findings.mean(row) for _, row in findings.where(last, network=["a", "b"]).iterrows()
            )
            sentences.append(
                f"At epoch {int(rows['epoch'].iloc[0])} {_named(variant, name)} has a test error below that of the two "
                f"by {findings.each(looked, _when, 'gain')}; on hard images by "
                f"{findings.each(ends, _when, 'gain_hard')}, on easy ones by "
                f"{findings.each(ends, _when, 'gain_easy')}. In the end its training error barriers to the two are "
                f"{lines} ({findings.of_networks(looked)})."
            )
    return findings.joined(sentences)


def _named(variant: tuple[Any, ...], name: str) -> str:
    from onebasin.prose import counted

    kind, shared, method = variant
    if kind == "child":
        return f"the mean of {name} and its child that shares {counted(shared, 'epoch')}"
    return f"the mean of two independent networks {name}, aligned by {method},"


def _when(row: Series) -> str:
    from onebasin.prose import counted

    return f"after {counted(int(row['further']), 'epoch')}" if row["further"] else "at once"


def figure(table: DataFrame) -> Figure:
    """Draw, for each model and width, errors, gains and barriers by epoch: a column for each kind of mean.

    In one column of a paper the largest width stands for all, and test errors for those of training.
    """
    from textwrap import fill

    from onebasin.figures import panels, style
    from onebasin.figures.legend import legend, networks
    from onebasin.figures.series import handles, series
    from onebasin.prose import counted

    table = _gains(table[table["metric"] == "error"])
    if style.narrow():
        table = table[table["width"] == table.groupby("model")["width"].transform("max")]
    # Under the name of each kind of mean, what it is.
    kinds_of = {str(_variant(row)): _variant(row) for _, row in table.iterrows()}
    names = [str(_variant(row)) for _, row in table.iterrows()]
    table = table.assign(now=table["epoch"] + table["further"], variant=names)
    labels = style.method_labels(table)
    variants = list(kinds_of)
    epochs = sorted(table["epoch"].unique())
    marks = {
        epoch: style.Mark(f"mean at epoch {epoch}", style.OKABE_ITO[i % 6], style.MARKERS[i % 6])
        for i, epoch in enumerate(epochs)
    }
    grey = style.Mark("the two networks", style.GREY, "D", line=(0, (1, 1)))
    models = style.unique(zip(table["model"], table["width"], strict=True))
    # What is drawn: a column of the table, of a split, and the name of the row.
    kinds: tuple[tuple[str, str, str], ...] = (
        ("value", "test", "test error"),
        *([] if style.narrow() else [("value", "train", "train error")]),
        ("gain", "test", "gain of\ntest error"),
        ("barrier", "train", "error barrier"),
    )
    heights = [1.15] * (len(kinds) * len(models))
    drawn, axes = panels.grid(len(heights), len(variants), heights, sharex=True, extra=0.5)
    rows = [(model, *kind) for model in models for kind in kinds]
    last = int(table["now"].max())

    def draw(axis: Any, part: DataFrame, column: str, mark: Any, shift: float = 0.0) -> None:
        part = part[part[column].notna()]
        place = part["now"].to_numpy(dtype=float) + shift
        series(axis, part, column, mark, (place, 0.008 * last), part[["a", "b"]].to_numpy(dtype=int))

    for ((model, width), column, split, label), line in zip(rows, axes, strict=True):
        for axis, variant in zip(line, variants, strict=True):
            here = (table["model"] == model) & (table["width"] == width) & (table["split"] == split)
            part = table[here & (table["variant"] == variant)]
            is_mean = part["network"] == "mean"
            grey_rows = part[~is_mean if column == "value" else is_mean]
            if column in ("value", "barrier"):
                # Several means have the same two networks beside them.
                twice = grey_rows.duplicated(["now", "network", "a", "b"])
                draw(axis, grey_rows[~twice] if column == "value" else grey_rows, column, grey)
            for epoch, mark in marks.items():
                own = part[(part["epoch"] == epoch) & (is_mean if column != "barrier" else ~is_mean)]
                if column == "gain":
                    draw(axis, own, "gain_hard", mark)
                    open_mark = style.Mark(mark.label, mark.colour, mark.marker, False, (0, (4, 1.5)))
                    draw(axis, own, "gain_easy", open_mark, 0.01 * last)
                else:
                    draw(axis, own, column, mark)
            if column == "gain":
                axis.axhline(0, color="black", linewidth=0.6, zorder=1)
            elif column == "barrier":
                panels.connected(axis)
            if column != "gain":
                axis.set_ylim(bottom=0)
        line[0].set_ylabel(f"{model}, {width}\n{label}")
    for (kind, shared, method), top, bottom in zip(kinds_of.values(), axes[0], axes[-1], strict=True):
        title = f"child, {counted(shared, 'epoch')} shared" if kind == "child" else f"independent, {labels[method]}"
        top.set_title(fill(title, 17), pad=3)
        bottom.set_xlabel("epoch")
    gains = [
        style.Mark("gain on hard images", style.GREY).handle(),
        style.Mark("gain on easy images", style.GREY, filled=False, line=(0, (4, 1.5))).handle(),
    ]
    entries = [
        *(mark.handle() for mark in marks.values()),
        grey.handle(),
        *gains,
        panels.connected_handle(),
        *handles(f"one of {networks(table, ['a'])} and its child, or with another"),
    ]
    legend(drawn, entries, 3)
    return drawn
