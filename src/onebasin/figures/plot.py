"""Curves between two networks, for a notebook."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
from matplotlib.axes import Axes
from pandas import DataFrame

from onebasin.figures import style


@matplotlib.rc_context(style.STYLE)
def plot(curves: DataFrame | Mapping[str, DataFrame], metric: str = "error", ax: Axes | None = None) -> Axes:
    """Draw curves between two networks, each over the straight line between its ends, a dot where its barrier is.

    Args:
        curves: what ``barrier.curve`` measured: a data frame with the columns alpha, loss and error, or several by
            their labels.
        metric: "error" (fraction of images, 0 to 1) or "loss" (nats).
        ax: where to draw; a new figure of pyplot by default, which a notebook shows.

    Returns:
        The axes; ``.figure.savefig(path)`` saves the figure.

    Raises:
        ValueError: for another metric, or no curve.
    """
    if metric not in style.METRICS:
        raise ValueError(f"metric {metric!r}: allowed are {', '.join(style.METRICS)}")
    named = {"": curves} if isinstance(curves, DataFrame) else dict(curves)
    if not named:
        raise ValueError("there is no curve to draw")
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(figsize=(style.WIDTH / 2, 2.8), layout="constrained")[1]
    for index, (name, curve) in enumerate(named.items()):
        alphas, values = curve["alpha"].to_numpy(), curve[metric].to_numpy()
        straight = values[0] + alphas * (values[-1] - values[0])
        top = (values - straight).argmax()
        label = f"{name}: barrier" if name else "barrier"
        colour, line = style.OKABE_ITO[index % len(style.OKABE_ITO)], style.LINES[index % len(style.LINES)]
        barrier = float(values[top] - straight[top])
        ax.plot(alphas, straight, color=style.GREY, linewidth=0.5)
        ax.plot(
            alphas,
            values,
            color=colour,
            linestyle=line,
            label=f"{label} {barrier:.3g}",
            marker="o",
            markersize=4,
            markevery=[top],
        )
    ax.set(xlim=(0, 1), xlabel="α, from the first network to the second", ylabel=style.METRICS[metric])
    ax.set_ylim(bottom=0, auto=True)  # so that another curve on a shared axis finds room
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return ax
