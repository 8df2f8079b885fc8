"""Curves between networks under each correction, and the accuracy halfway."""

from __future__ import annotations

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from onebasin.figures import style
from onebasin.figures.style import GREY, LABELS, OKABE_ITO, Mark

CORRECTIONS = {
    "none": Mark("not corrected", "#8C8C8C", "D"),
    "reset": Mark("reset", OKABE_ITO[0], "o"),
    "repair": Mark("repair", OKABE_ITO[1], "s", line=(0, (3, 1.5))),
}
# A correction that changes nothing lies on another one: from wide to narrow and dashed, all of them are seen.
WIDTHS = {"none": 3.2, "reset": 1.6, "repair": 1.6}
UNMATCHED = {"none": (0, (1, 5)), "reset": (2, (1, 5)), "repair": (4, (1, 5))}


@matplotlib.rc_context(style.STYLE)
def correction(frame: DataFrame) -> Figure:
    """Draw table `correction`: one row of panels per model and method, accuracy on the test images against α at the
    smallest, a middle and the largest width, and at the middle of the way against width, beside the ends.

    Args:
        frame: the table, as ``tables.read`` gives it.

    Raises:
        ValueError: for a table without rows.
    """
    style.check(frame)
    frame = frame[frame["split"] == "test"].assign(accuracy=1 - frame["error"])
    matched = [method for method in style.unique(frame["method"]) if method != "none"]
    rows = [(model, method) for model in style.unique(frame["model"]) for method in matched or ["none"]]
    marks = {name: CORRECTIONS[name] for name in style.unique(frame["correction"])}
    widths = {model: style.chosen(frame.loc[frame["model"] == model, "width"]) for model, _ in rows}
    columns = max(map(len, widths.values()))
    figure, axes = style.panels(len(rows), columns + 1, 1.25, sharey=True)
    for (model, method), line in zip(rows, axes, strict=True):
        part = frame[(frame["model"] == model) & frame["method"].isin([method, "none"])]
        for axis in line[len(widths[model]) : columns]:
            axis.set_visible(False)
        for axis, width in zip(line, widths[model], strict=False):
            _draw_curves(axis, part[part["width"] == width], marks)
            axis.set_title(f"width {width}", pad=2)
        _draw_middle(line[-1], part[part["method"] == method], marks)
        line[-1].set_title("halfway", pad=2)
        named = f"{model}\n{LABELS.get(method, method)}" if len(matched) > 1 else model
        line[0].set_ylabel(f"{named}\ntest accuracy")
        line[0].set_ylim(0, 1.02)
    for axis in axes[-1][:-1]:
        axis.set_xlabel("α")
    axes[-1][-1].set_xlabel("width")
    handles = [mark.handle(linewidth=WIDTHS[name], markersize=5) for name, mark in marks.items()]
    handles.append(Line2D([], [], color="black", marker="_", markersize=10, linestyle="none", label="ends: mean"))
    if matched:
        alone = f"after {LABELS.get(matched[0], matched[0])}" if len(matched) == 1 else "permuted"
        handles.append(Line2D([], [], color=GREY, linewidth=1.6, label=f"{alone}: mean over pairs"))
        handles.append(Line2D([], [], color=GREY, linewidth=0.5, alpha=0.6, label="one pair"))
        if "none" in set(frame["method"]):
            dots = Line2D(
                [], [], color=GREY, linewidth=1.2, linestyle=(0, (1, 2)), label="no permutation: mean over pairs"
            )
            handles.append(dots)
    style.legend(figure, handles, 4 if len(handles) > 6 else 3)
    return figure


def _draw_curves(axis: Axes, part: DataFrame, marks: dict[str, Mark]) -> None:
    for name, mark in marks.items():
        for method, group in part[part["correction"] == name].groupby("method"):
            curves = group.pivot(index="alpha", columns=["a", "b"], values="accuracy")
            mean = curves.mean(axis=1)
            if method == "none" and part["method"].nunique() > 1:
                axis.plot(curves.index, mean, color=mark.colour, linewidth=1.2, linestyle=UNMATCHED[name], zorder=2)
                continue
            axis.plot(curves.index, curves.to_numpy(), color=mark.colour, linewidth=0.4, alpha=0.35, gid="measurement")
            axis.plot(curves.index, mean, color=mark.colour, linewidth=WIDTHS[name], linestyle=mark.line, zorder=3)
    axis.set_xlim(0, 1)
    axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])


def _draw_middle(axis: Axes, part: DataFrame, marks: dict[str, Mark]) -> None:
    style.width_axis(axis, sorted(part["width"].unique()))
    middle = min(part["alpha"].unique(), key=lambda alpha: abs(alpha - 0.5))
    for slot, (name, mark) in enumerate(marks.items()):
        series = part[(part["correction"] == name) & (part["alpha"] == middle)]
        # One slot is left free on each side.
        style.strip(axis, series, "accuracy", mark, slot=slot + 1, slots=len(marks) + 2)
    ends = part[part["alpha"].isin([0, 1]) & (part["correction"] == next(iter(marks)))]
    means = ends.groupby("width")["accuracy"].mean()
    axis.plot(means.index, means, color="black", marker="_", markersize=18, linestyle="none", zorder=5)
