"""Tidy CSV tables: their columns, how they are written and read, and what is derived from them.

Only the standard library is imported here, so that a job that merely gathers tables starts at once; `read` imports
pandas when it is called. Floats are written by `repr` and come back exactly; equal rows make equal bytes.
"""

from __future__ import annotations

import csv
import math
import numbers
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onebasin.files import FileError, atomic

if TYPE_CHECKING:
    import pandas

Row = dict[str, Any]

_CELL = {"model": "name of the model in the config", "width": "width of the network, in units of the model family"}
_METHOD = {"method": "name of the matching method in the config; `none` without a permutation"}
_ANY_METHOD = {"method": "name of the matching method or frame in the config; `none` without a permutation"}
_PAIR = {"a": "seed of the first network", "b": "seed of the second network"}
_CLAIM = {
    "claim": "`none`, `weak` or `strong`: no permutation, b aligned to a, both in the frame of a third one or of all",
    "reference": "seed of the third network; empty unless the claim is `strong`, and in the frame common to all",
}
_SPLIT = {"split": "`train` or `test`: the images on which it is measured"}
_METRIC = {"metric": "`loss` (cross-entropy, nats), `error` (fraction of images, 0 to 1) or `loss_calibrated` (nats)"}
_VALUES = {
    "loss": "mean cross-entropy, nats",
    "error": "fraction of images classified wrongly, 0 to 1",
    "loss_calibrated": "loss after division of the logits by a temperature fitted on held-out images; empty without",
}
_CURVE = {
    **_CELL,
    **_ANY_METHOD,
    **_CLAIM,
    **_PAIR,
    **_SPLIT,
    "alpha": "share of network b on the line from a (0) to b (1)",
    **_VALUES,
}
_VALUES_OF_SPLITS = {
    "train_loss": "mean cross-entropy on the training images, nats",
    "train_error": "fraction of the training images classified wrongly, 0 to 1",
    "test_loss": "mean cross-entropy on the test images, nats",
    "test_error": "fraction of the test images classified wrongly, 0 to 1",
}
_LEVEL = {
    "level": "level of pruning; 0 is the trained network, of which nothing is pruned",
    "density": "share of the weights that remain, of all that may be pruned, 0 to 1",
}
_STAGES = {
    "first": "stage at which one permutation was found: `epoch5`, or `level2` of pruning",
    "second": "stage at which the other one was found",
}
_BARRIER = {
    "barrier": "largest rise above the straight line between the values at the ends, in the unit of the metric",
    "alpha": "share of the last network where the rise is largest",
    "end_a": "metric of the first network (alpha 0), in the unit of the metric",
    "end_b": "metric of the last network (alpha 1), in the unit of the metric",
}
_REACHED = {
    "objective": "what the method maximises, at the permutation found; unit of the method",
    "similarity": "cosine of all permutable parameters of a and b after the permutation, -1 to 1",
}
_MEMORY = {
    "memory": "most memory taken during the matching above what was taken before, MB; on a GPU, of its memory; "
    "empty where that cannot be read"
}
_MATCHING = {
    **_CELL,
    "method": "name of the matching method in the config",
    **_PAIR,
    **_REACHED,
    "sweeps": "solutions of a permutation group over the number of groups, rounded up; 1 where each is solved once",
    "seconds": "wall time of the matching, s",
    **_MEMORY,
}
_FRAME = {
    **_CELL,
    "method": "name of the frame in the config",
    **_PAIR,
    **_REACHED,
    "iterations": "steps of the method, for all networks together",
    "seconds": "wall time of the method, for all networks together, s",
    **_MEMORY,
}

COLUMNS: dict[str, dict[str, str]] = {
    "pairs": _CURVE,
    "width": {
        **_CELL,
        **_ANY_METHOD,
        **_CLAIM,
        **_PAIR,
        **_SPLIT,
        **_METRIC,
        **_BARRIER,
    },
    "simplex": {
        **_CELL,
        **_ANY_METHOD,
        "algorithm": "algorithm of the method; `none` without a permutation",
        "claim": "`none`, `weak` or `strong`: no permutation, b and c aligned to a, all in a fourth's or common frame",
        "reference": "seed of the fourth network; empty unless the claim is `strong`, and in the frame common to all",
        "a": "seed of the network at the first corner",
        "b": "seed of the network at the second corner",
        "c": "seed of the network at the third corner",
        **_SPLIT,
        "rank": "of the triangle among those of its model, width and split, by loss barrier; 1 is the lowest",
        "weight_a": "share of network a, 0 to 1; the three shares sum to 1",
        "weight_b": "share of network b, 0 to 1",
        "weight_c": "share of network c, 0 to 1",
        **_VALUES,
    },
    "methods": {
        **_CELL,
        "method": "name of the matching method or frame in the config",
        "claim": "`weak` for a method for two networks, `strong` for one for n networks",
        **_PAIR,
        **_REACHED,
        "steps": "sweeps of a method for two networks, iterations of one for n networks",
        "seconds": "wall time of the matching, s; of a method for n networks, its share for one pair",
        **_MEMORY,
        **_SPLIT,
        **_METRIC,
        "barrier": "barrier of the pair under this permutation, in the unit of the metric",
    },
    "scaling": {
        "model": _CELL["model"],
        **_ANY_METHOD,
        "claim": _CLAIM["claim"],
        **_SPLIT,
        **_METRIC,
        "widths": "number of widths to which the law was fitted",
        "narrowest": "the least of them",
        "widest": "the greatest of them",
        "factor": "barrier at width 1 by the law factor · width^(-beta), in the unit of the metric",
        "beta": "exponent of the law; positive where barriers fall with width",
        "deviation": "root mean square deviation of the logarithm of mean barriers from the law",
        "beta_low": "lower bound of the 95 % interval of beta; empty with too few networks for one",
        "beta_high": "upper bound of the interval",
        "crossing": "width at which the law falls under 0.02; empty where not within `scaling.reach` times the widest",
        "crossing_low": "lower bound of the 95 % interval of the crossing; empty as the crossing, and without interval",
        "crossing_high": "upper bound of the interval; empty in the same cases",
    },
    "consensus": {
        **_CELL,
        **_ANY_METHOD,
        "correction": "`none`, `reset` or `repair`: how the statistics of the mixtures were corrected",
        "count": "number of networks that were brought into one frame",
        "frame": "seeds of these networks, joined by `-`",
        "mixed": "seeds of those of them that were mixed, joined by `-`",
        "over": "`line` between two, their `mean`, or `simplex`: random points of the simplex and the mean",
        **_SPLIT,
        **_METRIC,
        "value": "metric of the mixture that rises most above the interpolation of the ends, in its unit",
        "baseline": "interpolation of the metric of the networks themselves at this mixture, in its unit",
        "barrier": "value less baseline; over `line` and `simplex` at least 0, since the networks themselves count",
    },
    "instability": {
        **_CELL,
        "seed": "seed of the network and of its child",
        "shared": "epochs that the two share; 0 is the initialisation alone",
        **_SPLIT,
        **_METRIC,
        "barrier": "largest rise above the straight line between the values at the ends, in the unit of the metric",
        "alpha": "share of the child where the rise is largest",
        "end_a": "metric of the network (alpha 0), in the unit of the metric",
        "end_b": "metric of its child (alpha 1), in the unit of the metric",
    },
    "correction": {
        **_CELL,
        **_METHOD,
        "correction": "`none`, `reset` or `repair`: how the statistics of the networks on the line were corrected",
        "claim": "`none` or `weak`: no permutation, b aligned to a",
        **_PAIR,
        **_SPLIT,
        "alpha": "share of network b on the line from a (0) to b (1)",
        **_VALUES,
    },
    "pruning": {
        **_CELL,
        "seed": "seed of the network",
        **_LEVEL,
        "train_loss": "mean cross-entropy of the network on the training images, nats",
        "train_error": "fraction of the training images that the network classifies wrongly, 0 to 1",
        "test_loss": "mean cross-entropy of the network on the test images, nats",
        "test_error": "fraction of the test images that the network classifies wrongly, 0 to 1",
        "layer": "`all`, or the name of a layer that is pruned",
        "weights": "weights of the layer, or of all layers, that may be pruned",
        "remaining": "how many of them remain",
        "units": "hidden units of the permutation group named after the layer, 0 where there is none; of all for `all`",
        "dead_units": "how many of these are the same for all training images, or are read by no weight other than 0",
    },
    "sparsity": {
        **_CELL,
        **_LEVEL,
        "permutation": "`none`, `level` or `dense`: b as it is, permuted as found at this level, as found at level 0",
        **_METHOD,
        **_PAIR,
        **_SPLIT,
        **_METRIC,
        **_BARRIER,
    },
    "tickets": {
        **_CELL,
        **_LEVEL,
        "seed": "seed of the network that was trained under the mask, from its own epoch of rewinding",
        "source": "seed of the network whose pruning made the mask",
        "mask": "`own`, `permuted`, `unpermuted` or `random` (as many weights in each layer as the source has)",
        "method": "name of the matching method that permuted the mask; `none` without a permutation",
        **_VALUES_OF_SPLITS,
    },
    "trajectory": {
        **_CELL,
        **_METHOD,
        "found": "epoch at which the permutation was found, 0 for the initialisation; empty without a permutation",
        "epoch": "epoch at which the two networks are measured",
        **_PAIR,
        **_SPLIT,
        **_METRIC,
        **_BARRIER,
    },
    "stability": {
        **_CELL,
        "method": "name of the matching method in the config",
        **_STAGES,
        **_PAIR,
        "group": "name of the permutation group",
        "units": "number of units of the group, n; 1/n of them stay in place by chance",
        "fixed": "fraction of the group's units to which both permutations assign the same unit, 0 to 1",
    },
    "layers": {
        **_CELL,
        **_METHOD,
        "kind": "`bottom_up`, `top_down`, `one_in`, `one_out`, `rewound` or `none`: which layers were not rewound",
        "rewound": "epoch to which the other layers were rewound before matching; empty without a permutation",
        "place": "number of the layer, from 1 at the input; empty for `rewound` and `none`",
        "layers": "number of layers of the network",
        **_PAIR,
        **_SPLIT,
        **_METRIC,
        **_BARRIER,
    },
    "superposition": {
        **_CELL,
        **_METHOD,
        "matched": "epochs whose checkpoints were matched at once, joined by `+`; `none` without a permutation",
        "epoch": "epoch at which the two networks are measured",
        **_PAIR,
        **_SPLIT,
        **_METRIC,
        **_BARRIER,
    },
    "cycles": {
        **_CELL,
        **_ANY_METHOD,
        "kind": "`path` or `cycle`: from one network to another, or back to the same one",
        "length": "permutations that were composed; 0 for two networks without a permutation",
        "networks": "seeds of the networks on the way; the last one is permuted and compared with the first",
        "fixed_points": "cycles: fraction of units, of all groups together, that the composition leaves in place",
        "chance": "cycles: the same fraction for uniformly random permutations",
        **_SPLIT,
        **_METRIC,
        **_BARRIER,
    },
    "fixed_points": {
        **_CELL,
        "method": "name of the matching method or frame in the config",
        "length": "permutations that were composed",
        "networks": "seeds of the networks on the cycle, from one back to itself",
        "group": "name of the permutation group",
        "units": "units of the group",
        "fixed_points": "fraction of the units that the composition leaves in place, 0 to 1",
        "chance": "the same fraction for a uniformly random permutation: 1 / units",
    },
    "embedding": {
        **_CELL,
        "narrow": "width of network b, which was padded with zero units to the width of a",
        **_METHOD,
        "a": "seed of the wide network",
        "b": "seed of the padded network",
        **_SPLIT,
        **_METRIC,
        **_BARRIER,
    },
    "transfer": {
        **_CELL,
        **_METHOD,
        "trained_a": "`first` or `second`: the data set on which network a was trained",
        "trained_b": "`first` or `second`: the data set on which network b was trained",
        "permutation": "found between networks a and b of the `first` or `second` set, or `across` both; `none`",
        "a": "seed of the first network",
        "b": "seed of the second network; the same as a only for networks of different data sets",
        "agreement": "fraction of units placed as by the permutation found between networks a and b themselves",
        "fixed_points": "fraction of units that the permutation leaves in place",
        "chance": "either fraction for uniformly random permutations",
        "data": "`first` or `second`: the data set on which it is measured",
        **_SPLIT,
        **_METRIC,
        **_BARRIER,
    },
    "transfer_masks": {
        **_CELL,
        **_LEVEL,
        "seed": "seed of the network of the second data set that was trained on it, from its own epoch of rewinding",
        "source": "seed of the network whose pruning on the first data set made the mask; `seed` without a mask",
        "mask": "`none`, `permuted`, `unpermuted` or `random` (as many weights in each layer as the source has)",
        "method": "name of the matching method that permuted the mask; `none` without a permutation",
        **_VALUES_OF_SPLITS,
    },
    "training": {
        "epoch": "number of the epoch, from 1",
        "lr": "learning rate of the last step of the epoch",
        "train_loss": "mean cross-entropy on the epoch's own batches, while training, nats",
        "train_error": "fraction of the epoch's own images classified wrongly, while training, 0 to 1",
        "test_loss": "mean cross-entropy on the test images, after the epoch, nats",
        "test_error": "fraction of test images classified wrongly, after the epoch, 0 to 1",
        "seconds": "wall time of the epoch, s",
    },
    "measurements": _CURVE,
    "matching": _MATCHING,
    "frame": _FRAME,
}
"""Table name to its columns, in order, each with its meaning and unit."""

_TEXT = frozenset({"model", "method", "correction", "claim", "split", "metric", "layer", "permutation", "mask"})
_TEXT |= {"first", "second", "group", "kind", "matched", "networks", "trained_a", "trained_b", "data"}
_TEXT |= {"algorithm", "frame", "mixed", "over"}
_WHOLE = frozenset(
    {"width", "reference", "a", "b", "c", "seed", "shared", "sweeps", "epoch"}
    | {"level", "source", "weights", "remaining", "units", "dead_units", "found", "rewound", "place", "layers"}
    | {"length", "narrow"}
    | {"iterations", "steps", "rank", "count", "widths", "narrowest", "widest"}
)
_WHOLE_OR_EMPTY = frozenset({"reference", "found", "rewound", "place"})
PATH = ("model", "width", "method", "claim", "reference", "a", "b", "split")
"""Columns that name a curve between two networks of different seeds."""
CHILD = ("model", "width", "seed", "shared", "split")
"""Columns that name a curve between a network and its child."""
LEVEL = ("model", "width", "level", "density", "permutation", "method", "a", "b", "split")
"""Columns that name a curve between two networks at a level of pruning."""
CYCLE = ("model", "width", "method", "kind", "length", "networks", "fixed_points", "chance", "split")
"""Columns that name a curve between the ends of a path, or around a cycle, of matched networks."""
EMBEDDED = ("model", "width", "narrow", "method", "a", "b", "split")
"""Columns that name a curve between a wide network and a padded one."""
TRANSFERRED = (
    *("model", "width", "method", "trained_a", "trained_b", "permutation", "a", "b"),
    *("agreement", "fixed_points", "chance", "data", "split"),
)
"""Columns that name a curve between networks of one or of two data sets."""
_CELL_OF_METHOD = ("model", "width", "method")
_MATCHED = (*_CELL_OF_METHOD, "a", "b")


def write(path: Path | str, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows of table `name` as CSV; the file appears only when it is complete.

    `rows` have exactly the columns `COLUMNS[name]`, in any order; None becomes an empty cell, in columns of floats and
    of whole numbers that may be missing. Raises ValueError for a row with other columns and TypeError for a value that
    does not fit.
    """
    columns = COLUMNS[name]
    with atomic(Path(path)) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for number, row in enumerate(rows, start=1):
            if row.keys() != columns.keys():
                missing, unknown = sorted(columns.keys() - row.keys()), sorted(row.keys() - columns.keys())
                raise ValueError(f"table {name}, row {number}: missing columns {missing}, unknown columns {unknown}")
            writer.writerow([_format(column, row[column]) for column in columns])


def rows(path: Path | str, name: str) -> Iterator[Row]:
    """Yield the rows of table `name` with text, int, float or (empty cell) None values.

    Raises FileError when the file is missing or is not such a table.
    """
    path = Path(path)
    columns = list(COLUMNS[name])
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            _check_header(path, name, next(reader, []))
            for cells in reader:
                if len(cells) != len(columns):
                    raise FileError(
                        f"{path}: line {reader.line_num} has {len(cells)} cells in place of {len(columns)}; "
                        "delete the file and run the workflow again"
                    )
                yield {c: _parse(path, reader.line_num, c, cell) for c, cell in zip(columns, cells, strict=True)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, name, error) from error


def gather(path: Path | str, name: str, parts: Sequence[Path | str], keep: Callable[[Row], bool] | None = None) -> None:
    """Write all rows of `parts`, files with the columns of table `name`, into one table, in the order given.

    `keep`, where given, selects rows. Raises FileError when a part is missing or has other columns.
    """
    write(path, name, (row for part in parts for row in rows(part, name) if keep is None or keep(row)))


def read(path: Path | str, name: str) -> pandas.DataFrame:
    """Read table `name` into a data frame: text, int64, float64; nullable Int64 where a whole number may be missing.

    Raises FileError when the file is missing or is not such a table.
    """
    import pandas

    values: dict[str, list[Any]] = {column: [] for column in COLUMNS[name]}
    for row in rows(path, name):
        for column, value in row.items():
            values[column].append(value)
    return pandas.DataFrame({c: pandas.Series(v, dtype=_dtype(c)) for c, v in values.items()})


def barriers(curves: Iterable[Mapping[str, Any]], path: Sequence[str] = PATH) -> Iterator[Row]:
    """Turn rows of curves, each named by the columns `path`, into one row per curve and metric.

    With `PATH`, rows of table `pairs` or `measurements` become rows of table `width`; with `CHILD`, of `instability`.

    The barrier is the largest of l(alpha) - [(1 - alpha) l(0) + alpha l(1)] over the alphas measured (Sharma et al.
    2024, arXiv 2404.06498); it is never negative, since both ends count. A curve with a value that is not a number
    has the barrier nan, and a metric without values has no row. Points may come in any order. Raises ValueError for a
    curve without its ends or with an alpha given twice.
    """
    metrics = ("loss", "error", "loss_calibrated")
    points: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in curves:
        key = tuple(row[column] for column in path)
        points.setdefault(key, []).append((row["alpha"], *(row.get(metric) for metric in metrics)))
    for key, values in points.items():
        name = dict(zip(path, key, strict=True))
        values.sort(key=lambda point: point[0])
        alphas = [point[0] for point in values]
        if alphas[0] != 0 or alphas[-1] != 1 or len(set(alphas)) != len(alphas):
            raise ValueError(f"the curve of {name} must have each alpha once, 0 and 1 among them")
        for index, metric in enumerate(metrics, start=1):
            heights = [point[index] for point in values]
            if None in heights:
                continue
            barrier, alpha = _highest(alphas, heights)
            ends = {"end_a": heights[0], "end_b": heights[-1]}
            yield {**name, "metric": metric, "barrier": barrier, "alpha": alpha, **ends}


def methods(
    matching: Iterable[Mapping[str, Any]], frames: Iterable[Mapping[str, Any]], width: Iterable[Mapping[str, Any]]
) -> Iterator[Row]:
    """Join rows of tables `matching` and `frame` with the barriers in rows of table `width` into rows of `methods`.

    The barrier of a matching of two networks is the weak one, that of a frame the strong one in this frame. Raises
    ValueError when a matched pair has no such barrier, or such a barrier no matching.
    """
    found: dict[tuple[Any, ...], Row] = {}
    for row in matching:
        key = tuple(row[column] for column in _MATCHED)
        found[(*key, "weak")] = {**row, "claim": "weak", "steps": row["sweeps"]}
    of_frames = list(frames)
    pairs = Counter(tuple(row[column] for column in _CELL_OF_METHOD) for row in of_frames)
    for row in of_frames:
        key = tuple(row[column] for column in _MATCHED)
        share = row["seconds"] / pairs[tuple(row[column] for column in _CELL_OF_METHOD)]
        found[(*key, "strong")] = {**row, "claim": "strong", "steps": row["iterations"], "seconds": share}
    measured = set()
    for row in width:
        if row["claim"] == "none" or row["reference"] is not None:
            continue
        key = (*(row[column] for column in _MATCHED), row["claim"])
        if key not in found:
            raise ValueError(f"the barrier of {dict(zip(_MATCHED, key[:-1], strict=True))} has no matching")
        measured.add(key)
        joined = {**found[key], "split": row["split"], "metric": row["metric"], "barrier": row["barrier"]}
        yield {column: joined[column] for column in COLUMNS["methods"]}
    if lacking := [key for key in found if key not in measured]:
        raise ValueError(f"the matching of {dict(zip(_MATCHED, lacking[0][:-1], strict=True))} has no barrier")


def layers(weights: Mapping[str, tuple[int, int]], units: Mapping[str, int], dead: Mapping[str, int]) -> Iterator[Row]:
    """Yield the columns of table `pruning` that say what remains: for the whole network first, then for each layer.

    `weights` gives for the name of a parameter how many of its weights remain and how many there are; `units` and
    `dead` for each permutation group its units, and those that do nothing.
    """
    remaining, total = (sum(counts) for counts in zip(*weights.values(), strict=True))
    whole = {"weights": total, "remaining": remaining, "units": sum(units.values()), "dead_units": sum(dead.values())}
    yield {"layer": "all", **whole}
    for key, (remaining, total) in weights.items():
        layer = key.removesuffix(".weight")
        counts = {"units": units.get(layer, 0), "dead_units": dead.get(layer, 0)}
        yield {"layer": layer, "weights": total, "remaining": remaining, **counts}


def level_zero(curves: Iterable[Mapping[str, Any]], points: int) -> Iterator[Row]:
    """Turn rows of table `measurements` into the rows of table `sparsity` of level 0, where a level's own is the dense.

    Of each curve only `points` evenly spaced alphas count, as at the other levels.
    """
    steps = points - 1
    coarse = (
        row
        for row in curves
        if row["claim"] != "strong" and math.isclose(row["alpha"] * steps, round(row["alpha"] * steps), abs_tol=1e-6)
    )
    for row in barriers(coarse):
        about = {column: value for column, value in row.items() if column not in ("claim", "reference")}
        for permutation in ("none",) if row["claim"] == "none" else ("level", "dense"):
            yield {**about, "level": 0, "density": 1.0, "permutation": permutation}


def superposition(single: Iterable[Mapping[str, Any]], several: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Join rows of table `trajectory`, with permutations of single checkpoints, and rows of table `superposition`."""
    for row in single:
        found = row["found"]
        values = {column: value for column, value in row.items() if column != "found"}
        yield {**values, "matched": "none" if found is None else str(found)}
    yield from map(dict, several)


def _highest(alphas: list[float], heights: list[float]) -> tuple[float, float]:
    """The largest rise above the line between the ends, and the first alpha where it lies."""
    best, where = 0.0, alphas[0]
    for alpha, height in zip(alphas, heights, strict=True):
        rise = height - ((1 - alpha) * heights[0] + alpha * heights[-1])
        if math.isnan(rise):
            return math.nan, alpha
        if rise > best:
            best, where = rise, alpha
    return best, where


def _format(column: str, value: Any) -> str:
    if value is None and _may_be_empty(column):
        return ""
    if column in _TEXT:
        if not isinstance(value, str) or value == "":
            raise TypeError(f"column {column} holds text, not {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"column {column} holds numbers, not {value!r}")
    if column not in _WHOLE:
        return repr(float(value))
    if not isinstance(value, numbers.Integral):
        raise TypeError(f"column {column} holds whole numbers, not {value!r}")
    return str(int(value))


def _may_be_empty(column: str) -> bool:
    return column in _WHOLE_OR_EMPTY or column not in _TEXT | _WHOLE


def _dtype(column: str) -> str:
    if column in _TEXT:
        return "str"
    if column in _WHOLE_OR_EMPTY:
        return "Int64"
    return "int64" if column in _WHOLE else "float64"


def _parse(path: Path, line: int, column: str, cell: str) -> str | int | float | None:
    if cell == "" and _may_be_empty(column):
        return None
    try:
        if column in _TEXT and cell:
            return cell
        return int(cell) if column in _WHOLE else float(cell)
    except ValueError:
        raise FileError(
            f"{path}: line {line}, column {column}: {cell!r} does not fit; delete the file and run the workflow again"
        ) from None


def _check_header(path: Path, name: str, header: list[str]) -> None:
    if header != list(COLUMNS[name]):
        raise FileError(
            f"{path}: not a table of {name}: its columns are {','.join(header) or 'none'}, expected "
            f"{','.join(COLUMNS[name])}; delete the file and run the workflow again"
        )


def _unreadable(path: Path, name: str, error: Exception) -> FileError:
    if isinstance(error, FileNotFoundError):
        return FileError(f"{path}: no such table of {name}; run the workflow that makes it")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return FileError(
        f"{path}: cannot be read as a table of {name} ({reason}); delete the file and run the workflow again"
    )
