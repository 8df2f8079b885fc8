"""Figures: every measurement drawn, intervals that respect dependence, equal tables to equal bytes."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.text import Text

from onebasin import differences, figures, prose, scaling, seeding, tables
from onebasin.experiments import control, linear, mechanism_share, rooms
from onebasin.experiments import methods as methods_room
from onebasin.figures import panels as panels_module
from onebasin.figures import style
from onebasin.findings import UNDECIDED
from onebasin.landscape import compositions
from onebasin.landscape.barrier import barriers
from onebasin.statistics import interval

nonlocal_room = rooms()["nonlocal"].module

MODELS = {"mlp": [16, 32, 64, 128], "cnn": [4, 8]}
CLAIMS = [
    ("none", "none"),
    ("weights", "weak"),
    ("weights", "strong"),
    ("activations", "weak"),
    ("activations", "strong"),
]
FRAMED = [*CLAIMS, ("merge-weights", "strong")]
ALPHAS = [0.0, 0.25, 0.5, 0.75, 1.0]


NAMED = {
    "none": ("none", "none"),
    "weights": ("weights", "weights"),
    "activations": ("activations", "activations"),
    "merge-weights": ("merge_many", "weights"),
}


def named(method):
    """The columns that say which method it is."""
    return dict(zip(("method", "algorithm", "compared"), (method, *NAMED[method]), strict=True))


def paths(claim, seeds=range(4), method="weights"):
    if claim == "strong" and "merge" not in method:
        for reference in seeds:
            for a, b in itertools.combinations([seed for seed in seeds if seed != reference], 2):
                yield reference, a, b
    else:
        for a, b in itertools.combinations(seeds, 2):
            yield None, a, b


def height(claim, width, a, b):
    return {"none": 0.7, "weak": 0.3, "strong": 0.5}[claim] * width**-0.3 * (1 + 0.05 * a + 0.02 * b)


def curves(models=MODELS, claims=FRAMED):
    for (model, widths), (method, claim) in itertools.product(models.items(), claims):
        for width, split in itertools.product(widths, ["train", "test"]):
            for reference, a, b in paths(claim, method=method):
                path = {"model": model, "width": width, **named(method), "claim": claim, "reference": reference}
                for alpha in ALPHAS:
                    error = 0.01 + height(claim, width, a, b) * 4 * alpha * (1 - alpha)
                    values = {"loss": 3 * error, "error": error, "loss_calibrated": None}
                    yield {**path, "a": a, "b": b, "split": split, "alpha": alpha, **values}


def pairs_frame(**kwargs):
    rows = [row for row in curves(**kwargs) if row["claim"] != "strong"]
    return pd.DataFrame(rows).astype({"reference": "Int64"})


def width_frame(**kwargs):
    return pd.DataFrame(list(barriers(curves(**kwargs)))).astype({"reference": "Int64"})


def methods_frame():
    found = [row for row in barriers(curves()) if row["claim"] != "none" and row["reference"] is None]
    keys = dict.fromkeys((row["model"], row["width"], row["method"], row["a"], row["b"], row["claim"]) for row in found)
    numbers = {"objective": 10.0, "similarity": 0.5, "sweeps": 3, "iterations": 2, "memory": 7.0}
    rows = {"weak": [], "strong": []}
    for m, w, k, a, b, claim in keys:
        rows[claim].append({"model": m, "width": w, **named(k), "a": a, "b": b, **numbers, "seconds": 1e-3 * w})
    parts = {
        "matching": rows["weak"],
        "frame": rows["strong"],
        "width": (row for row in curves() if row["claim"] != "none"),
    }
    return pd.DataFrame(list(methods_room.table(parts, {})))


def scaling_frame():
    rows = (row for row in barriers(curves()) if row["width"] != 128 or row["claim"] != "strong")
    frame = pd.DataFrame(list(scaling.rows(rows, resolution=0.003, reach=16)))
    optional = ["beta_low", "beta_high", "deviation_low", "deviation_high", "crossing", "crossing_low", "crossing_high"]
    return frame.astype(dict.fromkeys(optional, "float64"))


def differences_frame():
    rows = [row for row in barriers(curves()) if row["width"] != 128 or row["claim"] != "strong"]
    frame = pd.DataFrame(list(differences.rows(rows)))
    return frame.astype({"width": "Int64"} | dict.fromkeys(["low", "high", "p", "p_holm"], "float64"))


def consensus_frame():
    rows = []
    methods = ("none", "weights", "merge-weights")
    cells = itertools.product(MODELS.items(), methods, ("none", "repair"), ("train", "test"), range(2, 5))
    for (model, widths), method, correction, split, count in cells:
        about = {**named(method), "correction": correction, "count": count, "split": split}
        about |= {"model": model, "frame": "-".join(map(str, range(count)))}
        mixed = [("line", pair) for pair in itertools.combinations(range(count), 2)]
        mixed += [("mean", range(count)), ("simplex", range(count))]
        for width, (over, members), metric in itertools.product(widths, mixed, ("loss", "error")):
            barrier = 0.6 * width**-0.3 * (1 + 0.05 * members[0])
            which = {**about, "width": width, "over": over, "mixed": "-".join(map(str, members)), "metric": metric}
            rows.append({**which, "value": barrier + 0.1, "baseline": 0.1, "barrier": barrier})
    return pd.DataFrame(rows)


def control_frame():
    rows = []
    cells = itertools.product(MODELS.items(), control.KINDS, ("none", "weights"), ((0, 1), (2, 3)), ("train", "test"))
    for (model, widths), kind, method, (a, b), split in cells:
        if kind == "random labels" and split == "test":
            continue
        for width, metric in itertools.product(widths, ("loss", "error")):
            about = {"model": model, "width": width, "kind": kind, **named(method), "a": a, "b": b, "split": split}
            values = {"middle": 0.5 * width**-0.3 + 0.01 * a, "end_a": 0.1, "end_b": 0.2}
            rows.append({**about, "metric": metric, **values})
    return pd.DataFrame(rows)


STARS = [("ordinary", 0, (0, 1)), ("star", 1, (10, 11)), ("star", 2, (10, 11)), ("longer", 0, (10, 11))]
STARS += [("decay", 0, (10, 11)), ("mean", 2, (None,))]


def star_frame():
    """Networks 0 and 1 are sources; 2, 3 and 4 are held out."""
    rows = []
    cells = itertools.product(MODELS.items(), ("weights", "activations"), STARS, ("train", "test"))
    for (model, widths), method, (network, sources, seeds), split in cells:
        for width, seed, metric in itertools.product(widths, seeds, ("loss", "error")):
            about = {"model": model, "width": width, **named(method), "network": network, "sources": sources}
            paths = [("held-out", None, seed, other) for other in (2, 3, 4)]
            paths += [("source", None, seed, other) for other in range(sources)]
            paths += [
                (path, seed, a, b) for a, b in itertools.combinations((2, 3, 4), 2) for path in ("strong", "triangle")
            ]
            for path, reference, a, b in paths:
                barrier = width**-0.5 * (1 + 0.1 * b + 0.03 * (seed or 5)) / (1 + sources) / (1 + (method == "weights"))
                values = {"barrier": barrier, "alpha": 0.5, "end_a": 0.1, "end_b": 0.0, "worst": barrier + 0.1}
                which = {"path": path, "reference": reference, "a": a, "b": b, "split": split, "metric": metric}
                rows.append({**about, **which, **values, "excess": barrier + 0.1})
    return pd.DataFrame(rows).astype({"reference": "Int64", "a": "Int64"})


def linear_frame():
    rows = []
    cells = itertools.product(MODELS.items(), linear.ALIGNMENTS, ("none", "repair"), ("train", "test"))
    for (model, widths), alignment, correction, split in cells:
        for width, metric, (what, count) in itertools.product(
            widths, ("loss", "error"), [("alone", 1), ("line", 2), ("mean", 2), ("mean", 4)]
        ):
            if what == "alone" and (alignment == "none" or correction != "none"):
                continue
            for subset in linear.subsets(range(4), max(count, 2)):
                about = {"model": model, "width": width, "alignment": alignment, "correction": correction, "what": what}
                about |= {"gamma": 0.1 if alignment == "cca" else None, "count": count, "reference": subset[0]}
                about |= {"others": "-".join(map(str, subset[1:])), "split": split, "metric": metric}
                rise = count * width**-0.5 * (1 + 0.1 * subset[0]) / (1 + linear.ALIGNMENTS.index(alignment))
                values = {"value": rise + 0.1, "baseline": 0.1, "rise": rise, "excess": rise + 0.05}
                rows.append({**about, **values})
    return pd.DataFrame(rows)


def simplex_frame(resolution=6, models=(("mlp", 16), ("cnn", 4))):
    rows = []
    for (model, width), (method, claim), split in itertools.product(models, FRAMED, ["train", "test"]):
        for triangle, (i, j) in itertools.product(
            [(0, 1, 2), (0, 1, 3)], itertools.product(range(resolution + 1), repeat=2)
        ):
            if i + j > resolution or (claim == "strong" and triangle[2] == 3):
                continue
            a, b, c = (resolution - i - j) / resolution, i / resolution, j / resolution
            loss = 0.01 + height(claim, width, 0, triangle[2]) * (a * b + b * c + a * c)
            common = method == "merge-weights"
            reference = 3 if claim == "strong" and not common else None
            path = {"model": model, "width": width, **named(method), "claim": claim, "reference": reference}
            path |= {"rank": 1 + FRAMED.index((method, claim))}
            corners = dict(zip("abc", triangle, strict=True))
            weights = {"weight_a": a, "weight_b": b, "weight_c": c}
            values = {"loss": loss, "error": loss / 3, "loss_calibrated": None}
            rows.append({**path, **corners, "split": split, **weights, **values})
    return pd.DataFrame(rows).astype({"reference": "Int64"})


def instability_frame(shared=(0, 1, 5, 20)):
    rows = []
    for (model, widths), epoch, split in itertools.product(MODELS.items(), shared, ["train", "test"]):
        for width, seed, metric in itertools.product(widths, range(3), ["loss", "error"]):
            barrier = 0.5 * width**-0.3 * 0.8**epoch * (1 + 0.1 * seed)
            ends = {"alpha": 0.5, "end_a": 0.1, "end_b": 0.1}
            path = {"model": model, "width": width, "seed": seed, "shared": epoch, "split": split}
            rows.append({**path, "metric": metric, "barrier": barrier, **ends})
    return pd.DataFrame(rows)


def butterfly_frame(times=((0, 0), (0, 5), (1, 0)), methods=("none", "weights", "activations")):
    left = [{"kind": "independent", "sigma": None, "share": None, "epoch": None, "step": None}]
    for (kind, sigma, share), (epoch, step) in itertools.product(
        [("order", None, None), ("gaussian", 0.1, 1.0), ("gaussian", 0.1, 0.0), ("gradient", 1e-6, 0.25)], times
    ):
        left.append({"kind": kind, "sigma": sigma, "share": share, "epoch": epoch, "step": step})
    rows = []
    for method, which, split, metric in itertools.product(methods, left, ["train", "test"], ["loss", "error"]):
        networks = paths("weak") if which["kind"] == "independent" else [(None, seed, seed) for seed in range(4)]
        for _, a, b in networks:
            barrier = (0.2 if method == "none" else 0.1 + 0.02 * a) * 0.7 ** (which["epoch"] or 0)
            about = {"model": "mlp", "width": 64, **which, **named(method), "a": a, "b": b, "distance": 5.0}
            plain = method == "none"
            about |= {"fixed_points": None if plain else 0.8, "chance": None if plain else 0.02}
            about |= {"disagreement": 0.1 if plain else None, "angular_cka": 0.4 if plain else None}
            rows.append({**about, "split": split, "metric": metric, "barrier": barrier, **ENDS})
    optional = ["sigma", "share", "fixed_points", "chance", "disagreement", "angular_cka"]
    return pd.DataFrame(rows).astype({"epoch": "Int64", "step": "Int64"} | dict.fromkeys(optional, "float64"))


def transience_frame(epochs=(5, 10), after=(0, 1, 5)):
    kinds = [
        ("child", 1, "none"),
        ("child", 5, "none"),
        ("independent", None, "none"),
        ("independent", None, "weights"),
    ]
    rows = []
    cells = itertools.product([16, 64], kinds, epochs, after, ("mean", "a", "b"), ("train", "test"), ("loss", "error"))
    for width, (kind, shared, method), epoch, further, network, split, metric in cells:
        for a, b in [(0, 1), (2, 3)] if kind == "independent" else [(seed, seed) for seed in range(4)]:
            value = 0.2 - 0.002 * (epoch + further) - 0.03 * (network == "mean" and not further) + 0.001 * a
            about = {"model": "mlp", "width": width, "kind": kind, "shared": shared, **named(method), "epoch": epoch}
            about |= {"further": further, "a": a, "b": b, "network": network, "split": split, "metric": metric}
            values = {"value": value, "easy": value / 2, "hard": 2 * value, "hard_share": 0.3}
            rows.append({**about, **values, "barrier": 0.01 * (1 + a) * (3 if network == "mean" else 1)})
    return pd.DataFrame(rows).astype({"shared": "Int64"})


def splits_frame(methods=("none", "weights", "activations")):
    rows = []
    ways = [("whole", 2, None, None), ("classes", 2, 0.8, None), ("dirichlet", 3, None, 0.5)]
    for (model, width), (by, number, share, concentration), start, division in itertools.product(
        [("mlp", 8), ("mlp", 32), ("mlp", 128), ("cnn", 4)], ways, ("independent", "common"), range(3)
    ):
        about = {"model": model, "width": width, "by": by, "number": number, "share": share}
        about |= {"concentration": concentration, "start": start, "division": division}
        seeds = [division * number + index for index in range(number)]
        judged = [("none", "none", "alone", [seed], 0.2 + 0.01 * seed, None, None) for seed in seeds]
        judged += [("none", "none", "all data", seeds[:1], 0.05, None, None)]
        judged += [("none", "none", "ensemble", seeds, 0.1, 0.2, None)]
        for method, correction in itertools.product(methods, ("none", "repair")):
            value = (0.6 if method == "none" else 0.3) * (0.5 if correction == "repair" else 1) + 0.02 * division
            judged.append((method, correction, "mean", seeds, value, 0.2, value - 0.2))
            for pair in itertools.combinations(seeds, 2):
                judged.append((method, correction, "line", pair, value + 0.2, 0.2, value))
        for method, correction, network, members, value, baseline, barrier in judged:
            known = {**about, **named(method), "correction": correction, "network": network}
            known["members"] = "-".join(map(str, members))
            for split, metric in itertools.product(["train", "test"], ["loss", "error"]):
                row = {"split": split, "metric": metric, "value": value, "baseline": baseline, "barrier": barrier}
                rows.append({**known, **row})
    return pd.DataFrame(rows).astype(dict.fromkeys(["share", "concentration", "baseline", "barrier"], "float64"))


def correction_frame(methods=("none", "activations"), corrections=("none", "reset", "repair")):
    rows = []
    gain = {"none": 1.0, "reset": 1.0, "repair": 0.5}
    for row in curves():
        if row["claim"] != "strong" and row["method"] in methods:
            row.pop("reference")
            rows += [
                {**row, "correction": name, "error": row["error"] * gain[name], "loss_calibrated": row["loss"] / 2}
                for name in corrections
            ]
    return pd.DataFrame(rows)


HISTORY = [("mlp", 128, ["a", "b"]), ("cnn", 8, ["features.0", "features.3", "features.6"])]
EPOCHS = (0, 1, 5, 20)
ENDS = {"alpha": 0.5, "end_a": 0.1, "end_b": 0.1}


def history_rows(methods):
    """The columns that name what is measured, and a factor that tells pairs, methods, splits and metrics apart."""
    for (model, width, _), method, (_, a, b) in itertools.product(HISTORY, methods, paths("weak")):
        for split, metric in itertools.product(["train", "test"], ["loss", "error"]):
            scale = (1 + 0.1 * a + 0.05 * b) * (2 if method == "weights" else 1) * (3 if metric == "loss" else 1)
            about = {"model": model, "width": width, **named(method), "a": a, "b": b, "split": split}
            yield {**about, "metric": metric, **ENDS}, scale


def trajectory_frame(epochs=EPOCHS):
    rows = []
    for (row, scale), epoch in itertools.product(history_rows(["none", "weights", "activations"]), epochs):
        for found in [None] if row["method"] == "none" else epochs:
            barrier = scale * (0.3 if found is None else 0.2 / (1 + found))
            rows.append({**row, "found": found, "epoch": epoch, "barrier": barrier})
    return pd.DataFrame(rows).astype({"found": "Int64"})


def stability_frame(stages=("epoch0", "epoch5", "epoch20", "level1", "level2")):
    rows = []
    for (model, width, groups), method, (_, a, b) in itertools.product(
        HISTORY, ["weights", "activations"], paths("weak")
    ):
        for (i, first), (j, second), group in itertools.product(enumerate(stages), enumerate(stages), groups):
            if i < j:
                about = {"model": model, "width": width, **named(method), "first": first, "second": second}
                values = {"group": group, "units": width * len(group), "fixed": 1 / (1 + j - i + 0.1 * a)}
                rows.append({**about, "a": a, "b": b, **values})
    return pd.DataFrame(rows)


def layers_frame(count=3, epochs=(0,)):
    rows = []
    for (row, scale), epoch in itertools.product(history_rows(["none", "weights", "activations"]), epochs):
        kinds = [
            (kind, layer) for kind in ("bottom_up", "top_down", "one_in", "one_out") for layer in range(1, count + 1)
        ]
        for kind, layer in [("none", None)] if row["method"] == "none" else [("rewound", None), *kinds]:
            about = {"kind": kind, "rewound": None if kind == "none" else epoch, "place": layer, "layers": count}
            rows.append({**row, **about, "barrier": scale * 0.3 / (1 + (layer or 0))})
    return pd.DataFrame(rows).astype({"rewound": "Int64", "place": "Int64"})


def layerwise_frame(count=3):
    rows = []
    for row, scale in history_rows(["none", "weights", "activations"]):
        parts = list(itertools.product(("one", "prefix"), range(1, count + 1)))
        for part, layer in [
            *parts,
            *([("blocks", count)] if row["model"] == "cnn" and row["method"] != "none" else []),
        ]:
            rise = scale * {"one": 0.02, "prefix": 0.1 * layer, "blocks": 0.05}[part]
            which = {"part": part, "layer": layer, "layers": count}
            rows.append({**row, **which, "barrier": rise, "halfway": rise + 0.01, "excess": rise + 0.02})
    return pd.DataFrame(rows)


def superposition_frame(matched=("0", "1", "5", "20", "5+20", "1+5+20")):
    rows = []
    for (row, scale), epoch in itertools.product(history_rows(["none", "weights", "activations"]), EPOCHS):
        for name in ["none"] if row["method"] == "none" else matched:
            barrier = scale * (0.3 if name == "none" else 0.1 / name.count("5") if "5" in name else 0.2)
            rows.append({**row, "matched": name, "epoch": epoch, "barrier": barrier})
    return pd.DataFrame(rows)


DENSITIES = {0: 1.0, 1: 0.5, 2: 0.25, 3: 0.125, 4: 0.0625}
PERMUTATIONS = [("none", "none"), *itertools.product(("level", "dense"), ("weights", "activations"))]


def pruning_frame():
    rows = []
    for (model, widths), seed, (level, density) in itertools.product(MODELS.items(), range(3), DENSITIES.items()):
        values = {
            f"{split}_{metric}": 0.1 + 0.02 * level for split in ("train", "test") for metric in ("loss", "error")
        }
        about = {"model": model, "width": widths[0], "seed": seed, "level": level, "density": density, **values}
        for layer, weights in (("all", 300), ("first", 100), ("second", 200)):
            counts = {"weights": weights, "remaining": round(weights * density), "units": 20, "dead_units": level}
            rows.append({**about, "layer": layer, **counts})
    return pd.DataFrame(rows)


def errors_frame():
    rows = []
    for (model, widths), seed, split in itertools.product(MODELS.items(), range(3), ("train", "test")):
        for width in widths:
            values = {"loss": 0.3 + 0.1 * seed, "error": 0.1 + 0.01 * seed + 1 / width, "loss_calibrated": None}
            about = {"model": model, "width": width, "seed": seed, "split": split, **values, "guess": 0.9}
            rows.append({**about, "remark": "far" if seed == 2 else None})
    return pd.DataFrame(rows).astype({"loss_calibrated": float})


def sparsity_frame():
    rows = []
    for model, (level, density), (permutation, method) in itertools.product(MODELS, DENSITIES.items(), PERMUTATIONS):
        about = {"model": model, "width": 16, "level": level, "density": density, "permutation": permutation}
        for (_, a, b), split, metric in itertools.product(paths("none"), ("train", "test"), ("loss", "error")):
            barrier = {"none": 0.6, "level": 0.05, "dense": 0.1}[permutation] * (1 + 0.1 * a + 0.05 * b)
            ends = {"alpha": 0.5, "end_a": 0.1 + 0.01 * a, "end_b": 0.1 + 0.01 * b}
            path = {**about, **named(method), "a": a, "b": b, "split": split}
            rows.append({**path, "metric": metric, "barrier": barrier, **ends})
    return pd.DataFrame(rows)


def tickets_frame(rewinds=(1,), again=False):
    rows = []
    masks = [("own", "none"), ("permuted", "weights"), ("unpermuted", "none"), ("random", "none")]
    masks += [("again", "none")] if again else []
    for model, rewind, level, (mask, method), seed in itertools.product(MODELS, rewinds, (3, 4), masks, range(4)):
        source = seed if mask in ("own", "again") else seed ^ 1
        about = {
            "model": model,
            "width": 16,
            "rewind": rewind,
            "level": level,
            "density": DENSITIES[level],
            "seed": seed,
            "source": source,
        }
        error = {"own": 0.05, "permuted": 0.08, "unpermuted": 0.12, "random": 0.13, "again": 0.06}[mask] + 0.01 * seed
        values = {f"{split}_{metric}": error for split in ("train", "test") for metric in ("loss", "error")}
        values |= {f"{split}_disagreement": error / 2 for split in ("train", "test")}
        values |= {f"{split}_ensemble_error": 0.8 * error for split in ("train", "test")}
        rows.append({**about, "mask": mask, **named(method), **values})
    return pd.DataFrame(rows)


def cycles_frame(seeds=range(4)):
    rows = []
    for (model, widths), method in itertools.product(MODELS.items(), ["none", "weights", "activations"]):
        for width, kind, length in itertools.product(widths, ["path", "cycle"], range(5)):
            if (method == "none") != (length == 0) or kind == "cycle" and length < 3:
                continue
            draw = compositions.closed if kind == "cycle" else compositions.paths
            fixed = {"fixed_points": 0.3 / length, "chance": 1 / width} if kind == "cycle" else {}
            about = {"model": model, "width": width, **named(method), "kind": kind, "length": length}
            about |= {"fixed_points": None, "chance": None, **fixed}
            for networks in draw(list(seeds), max(length, 1), 100, seeding.generator("test")):
                for split, metric in itertools.product(["train", "test"], ["loss", "error"]):
                    value = 0.1 * (1 + length) * width**-0.3 * (1 + 0.05 * networks[1])
                    ends = {"barrier": value, "alpha": 0.5, "end_a": 0.1, "end_b": 0.1}
                    which = {"networks": "-".join(map(str, networks)), "split": split, "metric": metric}
                    rows.append({**about, **which, **ends})
    return pd.DataFrame(rows).astype({"fixed_points": float, "chance": float})


def embedding_frame():
    rows = []
    for model, method, narrow in itertools.product(MODELS, ["none", "weights", "activations"], [2, 3]):
        for split, metric, a, b in itertools.product(["train", "test"], ["loss", "error"], range(3), range(3)):
            about = {"model": model, "width": 8, "narrow": narrow, **named(method), "a": a, "b": b}
            value = height({"none": "none"}.get(method, "weak"), narrow, a, b)
            ends = {"barrier": value, "alpha": 0.5, "end_a": 0.1, "end_b": 0.1}
            rows.append({**about, "split": split, "metric": metric, **ends})
    return pd.DataFrame(rows)


def transfer_frame():
    rows = []
    kinds = [("first", "first"), ("second", "second"), ("first", "second")]
    for (trained_a, trained_b), method, a, b in itertools.product(kinds, ["none", "weights"], range(3), range(3)):
        across = trained_a != trained_b
        if a > b or a == b and not across:
            continue
        founds = ["none"] if method == "none" else ["across"] if a == b else ["first", "second", "across"]
        for model, found, data in itertools.product(MODELS, founds, dict.fromkeys((trained_a, trained_b))):
            about = {"model": model, "width": 8, **named(method), "trained_a": trained_a, "trained_b": trained_b}
            share = None if method == "none" else 0.5
            about |= {"permutation": found, "a": a, "b": b, "agreement": share, "fixed_points": share, "data": data}
            about |= {"chance": None if method == "none" else 0.125}
            for split, metric in itertools.product(["train", "test"], ["loss", "error"]):
                ends = {"barrier": 0.1 + 0.01 * a + 0.03 * b, "alpha": 0.5, "end_a": 0.1, "end_b": 0.1}
                rows.append({**about, "split": split, "metric": metric, **ends})
    return pd.DataFrame(rows)


def transfer_masks_frame():
    rows = []
    masks = [("none", "none"), ("permuted", "weights"), ("unpermuted", "none"), ("random", "none")]
    for model, (mask, method), seed in itertools.product(MODELS, masks, range(4)):
        level = 0 if mask == "none" else 4
        about = {"model": model, "width": 8, "level": level, "density": DENSITIES[level], "seed": seed}
        about |= {"source": seed if mask == "none" else seed ^ 1, "mask": mask, **named(method)}
        error = {"none": 0.05, "permuted": 0.08, "unpermuted": 0.12, "random": 0.13, "again": 0.06}[mask] + 0.01 * seed
        values = {f"{split}_{metric}": error for split in ("train", "test") for metric in ("loss", "error")}
        rows.append({**about, **values})
    return pd.DataFrame(rows)


WAYS = [
    ("none", "none"),
    ("matched", "weights"),
    ("matched", "activations"),
    ("random order", "none"),
    ("random direction", "none"),
]


def mechanism_frame():
    rows = []
    cells = itertools.product(MODELS.items(), WAYS, ("train", "test"), ("loss", "error", "loss_calibrated"))
    for (model, widths), (kind, method), split, metric in cells:
        for width, (a, b) in itertools.product(widths, itertools.combinations(range(4), 2)):
            claim = {"matched": "weak", "random direction": "strong"}.get(kind, "none")
            about = {"model": model, "width": width, "kind": kind, **named(method), "a": a, "b": b, "split": split}
            ends = {"barrier": height(claim, width, a, b), "alpha": 0.5, "end_a": 0.1, "end_b": 0.1}
            rows.append({**about, "metric": metric, **ends})
    return pd.DataFrame(rows)


def mechanism_share_frame():
    rows = mechanism_share.table({"table mechanism": mechanism_frame().to_dict("records")}, {})
    return pd.DataFrame(list(rows)).astype(dict.fromkeys(["share", "low", "high"], "float64"))


def mechanism_layers_frame():
    rows = []
    cells = itertools.product(MODELS.items(), WAYS[:-1], ("train", "test"), (0.25, 0.5), range(1, 4))
    for (model, widths), (kind, method), split, share, depth in cells:
        for width, (a, b) in itertools.product(widths, itertools.combinations(range(4), 2)):
            about = {"model": model, "width": width, "kind": kind, **named(method), "a": a, "b": b, "split": split}
            cosine = 1 - 0.1 * depth * height("none" if method == "none" else "weak", width, a, b)
            values = {f"{name}_cosine": cosine for name in ("linear", "exponential")}
            values |= {f"{name}_error": 1 - cosine for name in ("linear", "exponential")}
            values |= dict.fromkeys(["seen_a", "seen_b"], 1 / depth) | dict.fromkeys(
                ["stable_rank_a", "stable_rank_b"], 2.0 * width / depth
            )
            rows.append({**about, "share": share, "layer": f"layer{depth}", "depth": depth, **values})
    return pd.DataFrame(rows)


MERGES = [
    ("common", "mean", None, "none"),
    ("common", "vectors", 1.0, "none"),
    ("common", "mean", None, "merge-weights"),
    ("independent", "mean", None, "none"),
    ("independent", "mean", None, "merge-weights"),
]


def nonlocal_frame():
    rows = []
    tasks = ("digits", "digits-rotated", "digits-inverted")
    models = {"mlp": [16, 64], "cnn": [4]}
    cells = itertools.product(models.items(), MERGES, nonlocal_room.TITLES, (2, 3), range(3))
    for (model, widths), (origin, merge, coefficient, method), (correction, fitted), count, seed in cells:
        for width, task in itertools.product(widths, tasks[:count]):
            about = {"model": model, "width": width, "start": 0, "origin": origin, "merge": merge}
            about |= {"coefficient": coefficient, **named(method), "correction": correction, "fitted": fitted}
            about |= {"count": count, "tasks": "+".join(tasks[:count]), "task": task, "seed": seed}
            excess = 0.1 * count * height("weak" if method != "none" else "none", width, seed, tasks.index(task))
            for split, metric in itertools.product(("train", "test"), ("loss", "error")):
                values = {"value": 0.05 + excess, "expert": 0.05, "excess": excess, "ratio": None}
                rows.append({**about, "split": split, "metric": metric, "layer": None, **values})
            for layer in (1, 2):
                values = {"value": 0.4 / layer, "expert": 1.0, "excess": None, "ratio": 0.4 / layer + 0.01 * seed}
                rows.append({**about, "split": "train", "metric": "variance", "layer": layer, **values})
    return pd.DataFrame(rows).astype({"layer": "Int64"} | dict.fromkeys(["coefficient", "excess", "ratio"], "float64"))


FRAMES = {
    "errors": errors_frame,
    "pruning": pruning_frame,
    "sparsity": sparsity_frame,
    "tickets": tickets_frame,
    "pairs": pairs_frame,
    "width": width_frame,
    "scaling": scaling_frame,
    "differences": differences_frame,
    "simplex": simplex_frame,
    "cycles": cycles_frame,
    "embedding": embedding_frame,
    "transfer": transfer_frame,
    "transfer_masks": transfer_masks_frame,
    "consensus": consensus_frame,
    "control": control_frame,
    "star": star_frame,
    "mechanism": mechanism_frame,
    "mechanism_share": mechanism_share_frame,
    "mechanism_layers": mechanism_layers_frame,
    "methods": methods_frame,
    "instability": instability_frame,
    "butterfly": butterfly_frame,
    "transience": transience_frame,
    "correction": correction_frame,
    "splits": splits_frame,
    "trajectory": trajectory_frame,
    "stability": stability_frame,
    "layers": layers_frame,
    "layerwise": layerwise_frame,
    "linear": linear_frame,
    "superposition": superposition_frame,
    "nonlocal": nonlocal_frame,
}


def visible(figure):
    return [axis for axis in figure.axes if axis.get_visible()]


def measurements(axis):
    """Heights of the measurements that a panel draws as marks."""
    drawn = [mark.get_offsets()[:, 1] for mark in axis.collections if mark.get_gid() == "measurement"]
    return np.sort(np.concatenate(drawn))


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_there_is_a_figure_for_every_experiment():
    assert rooms().keys() == FRAMES.keys()


@pytest.mark.parametrize("name", FRAMES)
def test_a_table_read_from_its_file_makes_equal_bytes(tmp_path, name):
    frame = FRAMES[name]()
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    tables.write(tmp_path / "table.csv", name, rows)
    for trial in ("1", "2"):
        figure = figures.draw(name, tables.read(tmp_path / "table.csv", name))
        figures.save(figure, tmp_path / f"{trial}.png", tmp_path / f"{trial}.pdf")
    for suffix in ("png", "pdf"):
        assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"2.{suffix}").read_bytes()
    assert (tmp_path / "1.png").read_bytes().startswith(b"\x89PNG")
    pdf = (tmp_path / "1.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and not re.search(rb"CreationDate|ModDate|atplotlib", pdf)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1.pdf", "1.png", "2.pdf", "2.png", "table.csv"]


@pytest.mark.parametrize("look", style.STYLES)
@pytest.mark.parametrize("name", FRAMES)
def test_figures_fit_a_page_and_leave_the_table_alone(name, look):
    frame = FRAMES[name]()
    before = frame.copy()
    figure = figures.draw(name, frame, look)
    pd.testing.assert_frame_equal(frame, before)
    width = {"screen": style.WIDTH, "paper": style.COLUMN}[look]
    assert figure.get_figwidth() == width and figure.get_figheight() < 9.5


@pytest.mark.parametrize("look", style.STYLES)
@pytest.mark.parametrize("name", FRAMES)
def test_type_is_large_enough_and_no_panel_is_empty(name, look):
    figure = figures.draw(name, FRAMES[name](), look)
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in shown) >= {"screen": 6.5, "paper": 7}[look]
    assert max(text.get_fontsize() for text in shown) <= 8
    for axis in figure.axes:
        assert axis.get_visible() and (axis.lines or axis.collections or axis.images)


@pytest.mark.parametrize("name", FRAMES)
def test_a_figure_says_how_many_networks_it_shows(name):
    figure = figures.draw(name, FRAMES[name]())
    if name == "simplex":  # three by their names
        return
    if name == "scaling":  # its table does not know
        return
    said = [figure.get_supxlabel(), *legend(figure)]
    assert any(re.search(r"\b[23 4]+ networks", text) for text in said)


@pytest.mark.parametrize("models", [2, 1])
@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("look", style.STYLES)
def test_no_text_is_cut_and_no_panels_overlap(name, models, look):
    frame = FRAMES[name]()
    check_view(figures.draw(name, frame[frame["model"].isin(["mlp", "cnn"][:models])], look))


def check_view(figure):
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    boxes = [axis.get_tightbbox(renderer) for axis in visible(figure)]
    for box in [*boxes, *(item.get_window_extent(renderer) for item in figure.legends)]:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
    for one, other in itertools.combinations([axis.bbox for axis in visible(figure)], 2):
        assert not one.overlaps(other)
    for item, box in itertools.product(figure.legends, boxes):
        assert not item.get_window_extent(renderer).overlaps(box)


@pytest.mark.parametrize("name", FRAMES)
def test_an_empty_table_is_drawn_as_words(name):
    figure = figures.draw(name, FRAMES[name]().iloc[:0])
    assert not figure.axes and [text.get_text() for text in figure.texts] == [UNDECIDED]


def test_pairs_draws_every_curve_of_three_widths_and_their_means():
    frame = pairs_frame()
    figure = figures.draw("pairs", frame)
    assert len(figure.axes) == 2 * 6 + 2 * 4
    losses = figure.axes[6 + 4 :]
    axis = losses[3]
    cell = frame[(frame["model"] == "mlp") & (frame["width"] == 64) & (frame["split"] == "test")]
    for method in ("none", "weights", "activations"):
        curves = cell[cell["method"] == method].pivot(index="alpha", columns=["a", "b"], values="loss")
        drawn = [line.get_ydata() for line in axis.lines if line.get_color() == colour(frame, method)]
        assert len(drawn) == 6 + 1
        np.testing.assert_allclose(np.transpose(drawn[:6]), curves.to_numpy())
        np.testing.assert_allclose(drawn[6], curves.mean(axis=1))
    titles = [axis.get_title() for axis in figure.axes[:6]]
    assert titles == [f"width {width}, {split}" for width in (16, 64, 128) for split in ("train", "test")]
    assert figure.axes[0].get_ylabel() == "mlp\nerror" and losses[6].get_ylabel() == "cnn\nloss (nats)"
    assert losses[6].get_xlabel() == "α"
    assert legend(figure)[:3] == ["no permutation", "weight matching", "activation matching"]
    assert legend(figure)[3] == "one of 6 pairs of 4 networks (bold: mean)"


def colour(frame, method):
    return style.method_marks(frame)[method].colour


KINDS = ("weak", "strong, through a third network", "strong, in a common frame")


def width_panels(frame, look="screen"):
    """Each panel of the figure with the rows that it draws."""
    figure = figures.draw("width", frame, look)
    third = frame["reference"].notna()
    of = {
        "weak": frame["claim"] == "weak",
        "strong, through a third network": (frame["claim"] == "strong") & third,
        "strong, in a common frame": (frame["claim"] == "strong") & ~third,
    }
    metrics = dict.fromkeys(frame["metric"]) if look == "screen" else ["error"]
    order = itertools.product(sorted(metrics), [kind for kind in KINDS if of[kind].any()], MODELS)
    for place, (axis, (metric, kind, model)) in enumerate(zip(figure.axes, order, strict=True)):
        first = model == next(iter(MODELS))
        title = (f"{model}\n" if place < len(MODELS) else "") + (kind if first else "")
        assert axis.get_title(loc="left") == (title if look == "screen" else f"{model}: {kind}")
        shown = (frame["claim"] == "none") | of[kind]
        yield axis, frame[(frame["metric"] == metric) & (frame["model"] == model) & shown]


def means_of(axis):
    """Heights of the means that a panel draws."""
    marked = [line for line in axis.lines if line.get_marker() not in ("None", "") and line.get_gid() != "goes on"]
    return np.sort(np.concatenate([line.get_ydata() for line in marked]))


@pytest.mark.parametrize("look", ["screen", "paper"])
def test_width_draws_every_measurement(look):
    frame = width_frame()
    for axis, cell in width_panels(frame, look):
        np.testing.assert_allclose(measurements(axis), np.sort(cell["barrier"]))
        assert axis.get_xscale() == axis.get_yscale() == "log"
        low, high = axis.get_ylim()
        assert low < cell["barrier"].min() and cell["barrier"].max() < high
    figure = figures.draw("width", frame)
    assert figure.axes[0].get_ylabel() == "error barrier"
    assert figure.axes[6].get_ylabel() == "loss barrier\n(nats)"
    assert figure.axes[0].bbox.height > 1.3 * figure.axes[6].bbox.height
    assert {axis.get_xlabel() for axis in figure.axes[-2:]} == {"width"}
    labels = ["no permutation", "weight matching", "activation matching", "merge-many, weights", "train", "test"]
    assert legend(figure)[:6] == labels
    assert "one of 6 pairs and 12 triples of 4 networks" in legend(figure)


def test_width_draws_the_mean_and_the_threshold():
    frame = width_frame()
    for index, (axis, cell) in enumerate(width_panels(frame)):
        np.testing.assert_allclose(
            means_of(axis), np.sort(cell.groupby(["method", "split", "width"])["barrier"].mean())
        )
        threshold = [line for line in axis.lines if list(line.get_ydata()) == [0.02, 0.02]]
        assert len(threshold) == (index < 6)


def test_every_width_has_a_number_and_a_band_that_holds_its_marks():
    frame = width_frame()
    figure = figures.draw("width", frame)
    figure.draw_without_rendering()
    for axis, (_, widths) in zip(figure.axes, itertools.cycle(MODELS.items()), strict=False):
        assert [label.get_text() for label in axis.get_xticklabels()] == [str(width) for width in widths]
        bands = [
            (patch.get_x(), patch.get_x() + patch.get_width()) for patch in axis.patches if patch.get_gid() == "band"
        ]
        assert len(bands) == len(widths) and all(one[1] < other[0] for one, other in itertools.pairwise(bands))
        places = np.concatenate([m.get_offsets()[:, 0] for m in axis.collections if m.get_gid() == "measurement"])
        assert all(any(low < place < high for low, high in bands) for place in places)


def test_where_networks_err_much_their_error_stands_beside_the_barriers():
    frame = width_frame()
    assert not any("error of the networks" in text for text in legend(figures.draw("width", frame)))
    frame.loc[(frame["width"] == 16) & (frame["metric"] == "error"), ["end_a", "end_b"]] = [0.5, 0.3]
    figure = figures.draw("width", frame)
    assert "mean error of the networks, train" in legend(figure)
    (lines,) = (lines for lines in figure.axes[0].collections if lines.get_gid() == "ends")
    heights = [segment[0, 1] for segment in lines.get_segments()]
    assert heights == pytest.approx([0.4]) and figure.axes[0].get_ylim()[1] > 0.4


def test_measurements_of_a_width_stay_beside_it_and_apart():
    frame = width_frame()
    axis, cell = next(width_panels(frame))
    places = np.concatenate([m.get_offsets()[:, 0] for m in axis.collections if m.get_gid() == "measurement"])
    assert len(np.unique(places.round(6))) == len(places)
    nearest = np.array(MODELS["mlp"])[np.abs(np.log2(places[:, None] / MODELS["mlp"])).argmin(axis=1)]
    assert sorted(nearest) == sorted(cell["width"])


def test_barriers_too_low_for_the_axis_are_drawn_at_its_foot_and_said():
    frame = width_frame(models={"mlp": [16, 32]})
    assert not any("too low" in text for text in legend(figures.draw("width", frame)))
    frame.loc[(frame["a"] == 0) & (frame["b"] == 1) & (frame["claim"] == "weak"), "barrier"] = 0.0
    figure = figures.draw("width", frame)
    assert "one path too low for the axis (≤)" in legend(figure)
    figure.draw_without_rendering()
    # The least error barrier in view is the threshold, 0.02; the least loss barrier is above 0.1.
    for axis, floor in zip((figure.axes[0], figure.axes[3]), [0.01, 0.1], strict=True):
        assert len(measurements(axis)) == 2 * 2 * (6 + 2 * 6)
        np.testing.assert_allclose(measurements(axis)[: 2 * 4], floor)
        assert measurements(axis)[2 * 4] > floor > axis.get_ylim()[0]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert "≤ 0.01" in labels


def skewed_frame():
    """Barriers whose interval is longer than the axis at both ends."""
    frame = width_frame(models={"mlp": [16]}, claims=CLAIMS[:1])
    frame = frame[(frame["metric"] == "loss") & (frame["split"] == "train")]
    frame["barrier"] = [1.1, 9.0, 1.2, 9.0, 1.3, 9.0]
    return frame


def arrows(axis):
    """Places of the arrows at which intervals leave a panel."""
    return [(*line.get_xdata(), *line.get_ydata()) for line in axis.lines if line.get_gid() == "goes on"]


def test_an_interval_that_leaves_the_axis_ends_in_an_arrow_there_and_is_said():
    frame = skewed_frame()
    low, high = interval(frame["barrier"].to_numpy(), frame[["a", "b"]].to_numpy(dtype=int), barriers=True)
    figure = figures.draw("width", frame)
    axis = figure.axes[0]
    bottom, top = axis.get_ylim()
    assert low < bottom < 1 and high > top > 9
    (bar,) = (
        segment for lines in axis.collections if isinstance(lines, LineCollection) for segment in lines.get_segments()
    )
    np.testing.assert_allclose(bar[:, 1], [low, high])
    assert [height for _, height in arrows(axis)] == [bottom, top]
    assert "interval goes on" in legend(figure)
    frame["barrier"] = [1.0, 1.1, 1.2, 1.0, 1.1, 1.2]
    axis.set_ylim(0.1, 10)
    whole = figures.draw("width", frame.assign(barrier=1.0))
    assert not arrows(whole.axes[0]) and "interval goes on" not in legend(whole)


def test_an_interval_down_to_nothing_leaves_a_logarithmic_axis_and_not_one_from_0():
    from matplotlib.figure import Figure

    from onebasin.figures.intervals import bars, mark_ends

    axes = Figure().subplots(1, 3)
    for axis, scale, end in zip(axes, ("log", "linear", "linear"), (0.1, 0.0, 0.0), strict=True):
        axis.set_yscale(scale)
        axis.set_ylim(end, 10)
    bars(axes[0], [1], [0.0], [5.0], "black")
    bars(axes[1], [1], [0.0], [5.0], "black")
    bars(axes[2], [1, 2], [-1.0, np.nan], [5.0, np.nan], "black")
    assert mark_ends(axes[0].figure)
    assert [arrows(axis) for axis in axes] == [[(1, 0.1)], [], [(1, 0.0)]]


def test_nothing_is_drawn_lower_than_the_least_floor():
    frame = width_frame(models={"mlp": [16]})
    frame.loc[frame.index[frame["metric"] == "error"][:2], "barrier"] = [1e-3, 1e-12]
    axis = figures.draw("width", frame).axes[0]
    np.testing.assert_allclose(measurements(axis)[:2], panels_module.FLOOR)


def test_barriers_that_are_not_finite_are_counted():
    frame = width_frame(models={"mlp": [16, 32]}, claims=CLAIMS[:2])
    frame.loc[frame.index[frame["claim"] == "weak"][:2], "barrier"] = [np.nan, np.inf]
    figure = figures.draw("width", frame)
    notes = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert notes == ["1 × weight matching: not finite"] * 2
    assert sum(np.isfinite(measurements(axis)).sum() for axis in figure.axes) == len(frame) - 2


def test_one_model_one_width_one_pair_is_enough():
    frame = width_frame(models={"mlp": [16]})
    frame = frame[(frame["a"] == 0) & (frame["b"] == 1) & (frame["claim"] != "strong")]
    figure = figures.draw("width", frame)
    assert [len(measurements(axis)) for axis in figure.axes] == [2 * 3] * 2
    assert "one of 1 pair of 2 networks" in legend(figure)


def test_simplex_draws_four_triangles_for_each_model_on_one_scale():
    frame = simplex_frame()
    figure = figures.draw("simplex", frame)
    *panels, bar = figure.axes
    assert len(panels) == 2 * 4
    titles = [axis.get_title() for axis in panels[:4]]
    assert titles[0] == "no permutation" and titles[1] == "aligned to the first\nweight matching"
    assert titles[2:] == [
        "common frame\nmerge-many, weights",
        "lowest barrier of all\nweight matching\n(aligned to the first)",
    ]
    scales = {(contours.norm.vmin, contours.norm.vmax) for axis in panels for contours in axis.collections[:1]}
    assert len(scales) == 1
    low, high = scales.pop()
    train = frame.loc[frame["split"] == "train", "loss"]
    assert low == pytest.approx(train.min()) and high == pytest.approx(train.max(), rel=0.01)
    assert bar.get_ylabel() == "train loss (nats)"
    assert all(axis.get_aspect() == 1 and not axis.axison for axis in panels)


def test_simplex_names_the_networks_and_the_barrier():
    frame = simplex_frame(models=[("mlp", 16)])
    figure = figures.draw("simplex", frame)
    texts = [[text.get_text() for text in axis.texts] for axis in figure.axes[:4]]
    assert {r"$\theta_{0}$", r"$\theta_{1}$", r"$\theta_{2}$"} <= set(texts[0]) and "mlp, width 16" in texts[0]
    assert texts[1][:3] == [r"$\theta_{0}$", r"$\pi_{1}\theta_{1}$", r"$\pi_{2}\theta_{2}$"]
    assert texts[2][:3] == [r"$\pi_{0}\theta_{0}$", r"$\pi_{1}\theta_{1}$", r"$\pi_{2}\theta_{2}$"]
    # The loss is 0.01 at the corners and h (ab + bc + ca) above; its top is at the centre, h / 3.
    assert texts[1][3] == f"barrier {prose.number(height('weak', 16, 0, 2) / 3)}"


def test_simplex_places_the_corners():
    frame = simplex_frame(models=[("mlp", 16)])
    axis = figures.draw("simplex", frame).axes[1]
    places = {text.get_text(): text.get_position() for text in axis.texts}
    assert places[r"$\theta_{0}$"][0] < places[r"$\pi_{2}\theta_{2}$"][0] < places[r"$\pi_{1}\theta_{1}$"][0]
    assert places[r"$\pi_{2}\theta_{2}$"][1] > 0.8


def test_methods_draws_every_measurement():
    frame = methods_frame()
    figure = figures.draw("methods", frame)
    assert len(figure.axes) == 10
    for index, model in enumerate(MODELS):
        part = frame[(frame["model"] == model) & (frame["metric"] == "error")]
        train = part[part["split"] == "train"]
        shown = [part.loc[part["claim"] == claim, "barrier"] for claim in ("weak", "strong")]
        shown += [train["similarity"], train["seconds"], train["memory"]]
        for axis, values in zip(figure.axes[5 * index :], shown, strict=False):
            np.testing.assert_allclose(measurements(axis), np.sort(values))
    titles = [axis.get_title() for axis in figure.axes[:5]]
    assert titles[:2] == ["weak", "strong, in a common frame"]
    assert titles[2:] == ["cosine of parameters", "seconds per pair", "memory (MB)"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert legend(figure)[2] == "merge-many, weights"
    assert len(figures.draw("methods", frame.assign(memory=np.nan)).axes) == 2 * 4


def test_scaling_draws_every_law():
    frame = scaling_frame()
    figure = figures.draw("scaling", frame)
    assert len(figure.axes) == 2 * 2 * 2
    order = [(metric, model) for metric in ("error", "loss") for model in MODELS]
    for index, (metric, model) in enumerate(order):
        part = frame[(frame["metric"] == metric) & (frame["model"] == model)]
        for axis, column in zip(figure.axes[2 * index : 2 * index + 2], ("beta", "crossing"), strict=True):
            drawn = [line.get_xdata()[0] for line in axis.lines if line.get_gid() == "measurement"]
            np.testing.assert_allclose(np.sort(drawn), np.sort(part[column].dropna()))
    figure.draw_without_rendering()
    for axis in figure.axes[1::2]:
        missing = [line for line in axis.lines if line.get_marker() == "x"]
        shown = [line for line in axis.lines if line.get_gid() == "measurement"]
        assert len(missing) + len(shown) == len(part) and len(missing) > 0
    assert {"interval without an end", "not reached by the law"} <= set(legend(figure))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["no permutation", "weak, weight matching"] and "strong, merge-many, weights" in labels
    # Panels above each other share their numbers, and only the lowest shows them.
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == ["4", "16", "64", "256"]


def test_differences_draws_every_comparison_at_three_widths_and_over_all():
    frame = differences_frame()
    figure = figures.draw("differences", frame)
    assert [axis.get_title() for axis in figure.axes[:4]] == ["width 16", "width 64", "width 128", "all widths"]
    assert [axis.get_title() for axis in visible(figure)[4:]] == ["width 4", "width 8", "all widths"]
    part = frame[(frame["metric"] == "error") & (frame["model"] == "mlp")]
    for axis, width in zip(figure.axes[:4], (16, 64, 128, None), strict=True):
        here = part[part["width"].isna() if width is None else (part["width"] == width).fillna(False)]
        drawn = [line.get_xdata()[0] for line in axis.lines if line.get_gid() == "measurement"]
        np.testing.assert_allclose(np.sort(drawn), np.sort(here["difference"]))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["weak: weights − none", "weak: activations − none"] and len(labels) == 3 + 6 + 3
    assert "weights, strong − weak" in labels and "merge-weights − weights, weak" in labels
    loss = figures.draw("differences", frame[frame["metric"] == "loss"])
    said = "loss barrier (nats) of the one named first less that of the other: left of 0, the first is lower"
    assert loss.get_supxlabel().split() == said.split()
    assert {"4 networks of a width", "mlp: 3 of 4 widths are drawn"} <= set(legend(figure))
    assert not any(text.startswith("cnn") for text in legend(figure))


def test_consensus_draws_every_measurement_of_the_test_images():
    frame = consensus_frame()
    figure = figures.draw("consensus", frame)
    assert len(visible(figure)) == 3 * 6 + 3 * 4
    part = frame[(frame["metric"] == "error") & (frame["split"] == "test") & (frame["model"] == "mlp")]
    for row, (over, column) in enumerate((("line", "barrier"), ("simplex", "barrier"), ("mean", "value"))):
        cell = part[(part["over"] == over) & (part["width"] == 64) & (part["correction"] == "repair")]
        values = 1 - cell[column] if over == "mean" else cell[column]
        np.testing.assert_allclose(measurements(figure.axes[6 * row + 3]), np.sort(values))
    assert figure.axes[3].get_title() == "width 64\nrepair"
    assert figure.axes[0].get_ylabel() == "mlp, pairs\ntest error barrier"


def test_instability_draws_every_measurement_and_the_means():
    frame = instability_frame()
    figure = figures.draw("instability", frame)
    assert len(figure.axes) == 8
    order = [(metric, model) for metric in ("error", "loss") for model in MODELS]
    for index, axis in enumerate(figure.axes):
        (metric, model), split = order[index // 2], ("train", "test")[index % 2]
        cell = frame[(frame["metric"] == metric) & (frame["model"] == model) & (frame["split"] == split)]
        np.testing.assert_allclose(measurements(axis), np.sort(cell["barrier"]))
        means = cell.groupby(["width", "shared"])["barrier"].mean()
        np.testing.assert_allclose(means_of(axis), np.sort(means))
        assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "1", "5", "20"]
        assert [list(line.get_ydata()) for line in axis.lines].count([0.02, 0.02]) == (metric == "error")
    assert figure.axes[0].get_ylabel() == "mlp\nerror barrier"
    assert figure.axes[6].get_xlabel() == figure.axes[7].get_xlabel() == "shared epochs"
    assert legend(figure)[:2] == ["width 4", "width 8"]
    frame.loc[frame["shared"] == 1, "barrier"] = np.nan
    axis = figures.draw("instability", frame).axes[0]
    assert len(measurements(axis)) == 4 * 3 * 3
    assert [text.get_text() for text in axis.texts][0] == "3 × width 16: not finite"


def test_star_draws_every_path_of_the_method_that_connects_ordinary_networks_best():
    frame = star_frame()
    figure = figures.draw("star", frame)
    kinds = ["ordinary", "longer", "decay", "mean of 2", "star of 1", "star of 2"]
    drawn = [("held-out", "barrier"), ("held-out", "excess"), ("strong", "barrier"), ("triangle", "excess")]
    for (path, value), (column, model) in itertools.product(drawn, enumerate(MODELS)):
        axis = figure.axes[2 * drawn.index((path, value)) + column]
        cell = chosen(frame, model=model, path=path, method="weights", metric="error", split="train")
        np.testing.assert_allclose(measurements(axis), np.sort(cell[value]))
        means = cell.groupby(["width", "network", "sources"])[value].mean()
        np.testing.assert_allclose(means_of(axis), np.sort(means))
        assert [list(line.get_ydata()) for line in axis.lines].count([0.02, 0.02]) == (value == "barrier")
    assert [axis.get_title() for axis in figure.axes[:2]] == ["mlp, weight matching", "cnn, weight matching"]
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == kinds
    assert any("3 networks held out" in text for text in legend(figure))


def test_linear_draws_mapped_networks_alone_barriers_and_means_of_all_numbers():
    frame = linear_frame()
    figure = figures.draw("linear", frame)
    rows = [(model, width) for model, widths in MODELS.items() for width in widths]
    assert len(visible(figure)) == 2 * len(rows)
    for (row, (model, width)), (column, correction) in itertools.product(
        enumerate(rows), enumerate(("none", "repair"))
    ):
        axis = panel(figure, row, column)
        cell = chosen(frame, model=model, width=width, metric="error", split="test")
        alone, line, means = (chosen(cell, what=what) for what in ("alone", "line", "mean"))
        drawn = [*alone["excess"], *chosen(line, correction=correction)["rise"]]
        drawn += [*chosen(means, correction=correction)["excess"]]
        np.testing.assert_allclose(measurements(axis), np.sort(drawn))
    assert [label.get_text() for label in axis.get_xticklabels()] == ["alone", "barrier", "mean\nof 2", "mean\nof 4"]
    assert [axis.get_title() for axis in visible(figure)[:2]] == ["uncorrected", "repair"]
    assert {"no map", "permutation", "CCA", "Procrustes"} <= set(legend(figure))


def test_butterfly_draws_every_kind_of_child_and_what_permutations_change():
    frame = butterfly_frame()
    figure = figures.draw("butterfly", frame)
    rows = [figure.axes[start : start + 5] for start in range(0, 20, 5)]
    titles = [" ".join(axis.get_title().split()) for axis in rows[0]]
    assert titles[:3] == ["independent", "other batches", "noise of σ = 0.1"]
    assert titles[3:] == ["noise of σ = 0.1 in one weight", "a gradient of σ = 1e-06 in 0.25 of the weights"]
    for line, metric in zip(rows, ("error", "loss"), strict=False):
        for axis, kind in zip(line[:2], ("independent", "order"), strict=True):
            shown = frame[(frame["kind"] == kind) & (frame["metric"] == metric)]
            np.testing.assert_allclose(measurements(axis), np.sort(shown["barrier"]))
    permuted = frame[(frame["kind"] == "order") & (frame["metric"] == "error") & (frame["method"] != "none")]
    changes = permuted["barrier"] - 0.2 * 0.7 ** permuted["epoch"].astype(float)
    np.testing.assert_allclose(measurements(rows[2][1]), np.sort(changes), atol=1e-12)
    assert [label.get_text() for label in rows[3][1].get_xticklabels()] == ["step 0", "step 5", "epoch 1"]


def test_splits_draws_what_networks_do_alone_and_together_for_every_way_to_divide_the_data():
    frame = splits_frame()
    figure = figures.draw("splits", frame)
    rows = [figure.axes[start : start + 3] for start in range(0, 18, 3)]
    titles = [" ".join(axis.get_title().split()) for axis in rows[0]]
    assert titles == ["whole, 2 networks", "2 parts, 80 % of a class in one", "3 parts, Dirichlet(0.5)"]
    test = frame[(frame["metric"] == "error") & (frame["split"] == "test")]
    # The smallest width and the largest, errors above barriers.
    for line, (model, width) in zip(rows[::2], [("mlp", 8), ("mlp", 128), ("cnn", 4)], strict=True):
        assert line[0].get_ylabel().startswith(f"{model}, width {width}")
        for axis, by in zip(line, ("whole", "classes", "dirichlet"), strict=True):
            shown = test[(test["model"] == model) & (test["width"] == width) & (test["by"] == by)]
            np.testing.assert_allclose(measurements(axis), np.sort(shown.loc[shown["network"] != "line", "value"]))
    of_lines = test[(test["by"] == "dirichlet") & (test["network"] == "line") & (test["model"] == "cnn")]
    np.testing.assert_allclose(measurements(rows[5][2]), np.sort(of_lines["barrier"]))
    names = [label.get_text() for label in rows[5][0].get_xticklabels()]
    assert names[:3] == ["alone", "ensemble", "all data"] and names[3:5] == ["mean", "mean, weights"]


def test_nonlocal_draws_every_correction_and_the_variance_by_layer():
    frame = nonlocal_frame()
    figure = figures.draw("nonlocal", frame)
    test = frame[(frame["metric"] == "error") & (frame["split"] == "test")].fillna({"coefficient": 0})
    for place, (model, width) in enumerate([("mlp", 16), ("mlp", 64), ("cnn", 4)]):
        *line, variance = figure.axes[7 * place : 7 * place + 7]
        assert line[0].get_ylabel().startswith(f"{model}, width {width}\n")
        of = test[(test["model"] == model) & (test["width"] == width)]
        for axis, (correction, fitted) in zip(line, nonlocal_room.TITLES, strict=True):
            shown = of[(of["correction"] == correction) & (of["fitted"] == fitted)]
            sets = shown.groupby(["origin", "merge", "coefficient", "method", "count", "seed"])["excess"].mean()
            np.testing.assert_allclose(measurements(axis), np.sort(sets))
        assert [label.get_text() for label in variance.get_xticklabels()] == ["1", "2"]
        assert len(measurements(variance)) == 5 * 2 * 3
    titles = [" ".join(axis.get_title().split()) for axis in figure.axes]
    assert titles[0] == "nothing corrected" and titles[5:7] == ["those of the expert", "variance over expert's"]
    assert "one of 3 sets of 2 to 3 networks, mean over tasks" in legend(figure)
    assert "independent: mean" in legend(figure) and "common start: vectors × 1" in legend(figure)


def test_correction_draws_curves_and_the_middle():
    frame = correction_frame()
    figure = figures.draw("correction", frame)
    assert len(visible(figure)) == 4 + 3  # mlp at three of its four widths, cnn at two, and the middle of each
    assert [axis.get_title() for axis in figure.axes[:4]] == ["width 16", "width 64", "width 128", "halfway"]
    assert figure.axes[0].get_ylabel() == "mlp\ntest accuracy"
    test = frame[(frame["split"] == "test") & (frame["model"] == "mlp")].assign(accuracy=1 - frame["error"])
    axis = figure.axes[0]
    cell = test[test["width"] == 16]
    pairs = [line for line in axis.lines if line.get_gid() == "measurement"]
    assert len(pairs) == 6 * 3
    means = [line.get_ydata() for line in axis.lines if line.get_gid() != "measurement"]
    expected = cell.groupby(["correction", "method", "alpha"])["accuracy"].mean().unstack()
    assert sorted(tuple(mean.round(9)) for mean in means) == sorted(map(tuple, expected.to_numpy().round(9)))
    middle = test[(test["alpha"] == 0.5) & (test["method"] == "activations")]
    np.testing.assert_allclose(measurements(figure.axes[3]), np.sort(middle["accuracy"]))
    ends = next(line for line in figure.axes[3].lines if line.get_marker() == "_")
    np.testing.assert_allclose(ends.get_ydata(), 0.99)
    assert legend(figure)[:4] == ["not corrected", "reset", "repair", "ends: mean"]
    assert legend(figure)[4] == "after activation matching: mean over pairs"


def test_correction_has_a_row_of_panels_for_each_method():
    figure = figures.draw(
        "correction", correction_frame(methods=("none", "weights", "activations"), corrections=("repair",))
    )
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    names = [f"{model}\n{method} matching\ntest accuracy" for model in MODELS for method in ("weight", "activation")]
    assert labels == names
    alone = figures.draw("correction", correction_frame(methods=("none",)))
    assert [axis.get_ylabel() for axis in alone.axes if axis.get_ylabel()] == [f"{m}\ntest accuracy" for m in MODELS]


def test_sparsity_draws_every_barrier_and_every_network_once():
    frame = sparsity_frame()
    figure = figures.draw("sparsity", frame)
    assert len(figure.axes) == 4 * 4
    for row, axes in enumerate(np.reshape(figure.axes, (4, 4))):
        metric, model = list(itertools.product(("error", "loss"), MODELS))[row]
        part = frame[(frame["metric"] == metric) & (frame["model"] == model)]
        for axis, split in zip(axes, ("train", "test"), strict=False):
            expected = part[part["split"] == split]["barrier"]
            assert sorted(measurements(axis)) == pytest.approx(sorted(expected))
            assert axis.get_xlim()[0] > 1 > axis.get_xlim()[1]
            assert axis.get_xscale() == "log"
        for axis in axes[2:]:
            assert len(measurements(axis)) == 4 * len(DENSITIES)
            assert set(np.round(measurements(axis), 6).tolist()) == {0.1, 0.11, 0.12, 0.13}


def test_tickets_draws_every_network_under_every_mask():
    frame = tickets_frame()
    figure = figures.draw("tickets", frame)
    first = figure.axes[0]
    expected = frame[frame["model"] == "mlp"]["test_error"]
    assert sorted(measurements(first)) == pytest.approx(sorted(expected))
    assert first.get_title() == "test error" and first.get_ylim()[0] == 0
    assert {"own mask", "another's, weight matching", "another's, not permuted", "random"} <= set(legend(figure))
    # In the order of the legend, from left to right: the axis is inverted.
    series = [
        np.log2(points.get_offsets()[:, 0]).mean() for points in first.collections if points.get_gid() == "measurement"
    ]
    assert series == sorted(series, reverse=True)


def test_transfer_masks_draws_every_network_under_every_mask_and_dense():
    frame = transfer_masks_frame()
    figure = figures.draw("transfer_masks", frame)
    error, loss = figure.axes[:2]
    part = frame[frame["model"] == "mlp"]
    np.testing.assert_allclose(measurements(error), np.sort([*part["train_error"], *part["test_error"]]))
    np.testing.assert_allclose(measurements(loss), np.sort([*part["train_loss"], *part["test_loss"]]))
    labels = [label.get_text() for label in error.get_xticklabels()]
    assert labels == ["dense", "weights", "unpermuted", "random"]
    assert {"no mask: dense", "another's, weight matching", "random"} <= set(legend(figure))


def test_transfer_masks_tells_a_method_named_dense_from_no_mask():
    frame = transfer_masks_frame()
    frame["method"] = frame["method"].replace("weights", "dense")
    figure = figures.draw("transfer_masks", frame)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [
        "dense",
        "dense",
        "unpermuted",
        "random",
    ]
    assert {"no mask: dense", "another's, weight matching"} <= set(legend(figure))


def test_pruning_draws_every_network_and_layer():
    frame = pruning_frame()
    figure = figures.draw("pruning", frame)
    error, _, layers, dead = figure.axes[:4]
    assert len(measurements(error)) == 2 * 3 * len(DENSITIES)
    assert len(layers.lines) == 2 * 3
    assert sorted(set(np.round(measurements(dead), 6).tolist())) == pytest.approx([level / 20 for level in DENSITIES])


def table_of(methods):
    """A table with these methods, by their names: algorithm and what is compared."""
    return pd.DataFrame(
        [(name, *about) for name, about in methods.items()], columns=["method", "algorithm", "compared"]
    )


def test_methods_are_labelled_as_what_they_are_and_not_by_their_names():
    methods = {
        "activations": ("weights", "weights"),
        "weights": ("activations", "activations"),
        "none-1": ("activations", "activations"),
        "0": ("merge_many", "weights"),
        "level2": ("sinkhorn", "loss"),
    }
    assert style.method_labels(table_of(methods)) == {
        "activations": "weight matching",
        "weights": "activation matching (weights)",
        "none-1": "activation matching (none-1)",
        "0": "merge-many, weights",
        "level2": "learned",
    }


def test_a_figure_names_the_algorithm_whatever_a_method_is_called():
    frame = width_frame(claims=CLAIMS[:3])
    frame.loc[frame["algorithm"] == "weights", ["algorithm", "compared"]] = "activations"
    assert legend(figures.draw("width", frame))[:2] == ["no permutation", "activation matching"]


def test_twenty_methods_have_marks_of_their_own():
    marks = style.method_marks(table_of({str(number): ("weights", "weights") for number in range(20)}))
    assert len({(mark.colour, mark.marker, str(mark.line)) for mark in marks.values()}) == 20


def test_methods_differ_in_colour_shape_and_line():
    names = ["none", "weights", "activations", "a", "b", "c", "d"]
    marks = style.method_marks(table_of({name: NAMED.get(name, ("universe", "weights")) for name in names}))
    assert list(marks) == names
    for attribute in ("colour", "marker", "line"):
        values = [str(getattr(mark, attribute)) for name, mark in marks.items() if name != "none"]
        assert len(set(values)) == len(values)
    assert len({to_hex(mark.colour) for mark in marks.values()}) == len(names)


def panel(figure, row, column):
    at = [axis for axis in visible(figure) if axis.get_subplotspec() is not None and axis.get_label() != "<colorbar>"]
    [found] = [
        axis
        for axis in at
        if (axis.get_subplotspec().rowspan.start, axis.get_subplotspec().colspan.start) == (row, column)
    ]
    return found


def chosen(frame, **columns):
    for name, value in columns.items():
        frame = frame[frame[name] == value]
    return frame


def test_trajectory_draws_means_over_pairs_and_the_end_with_every_pair():
    frame = trajectory_frame()
    figure = figures.draw("trajectory", frame)
    mine = chosen(frame, model="mlp", split="train", metric="error")
    image = panel(figure, 0, 1).images[0].get_array()
    expected = chosen(mine, method="activations").groupby(["epoch", "found"])["barrier"].mean().unstack()
    np.testing.assert_allclose(image, expected.to_numpy())
    last = chosen(mine, epoch=20)
    axis = panel(figure, 0, 2)
    np.testing.assert_allclose(measurements(axis), np.sort(last.loc[last["method"] != "none", "barrier"]))
    none = [line.get_ydata()[0] for line in axis.lines if line.get_gid() == "measurement"]
    np.testing.assert_allclose(none, chosen(last, method="none")["barrier"])


def test_stability_draws_all_pairs_of_stages_and_the_chance_level():
    frame = stability_frame()
    figure = figures.draw("stability", frame)
    part = chosen(frame, model="mlp", method="weights")
    image = panel(figure, 0, 0).images[0].get_array()
    assert np.array_equal(image, image.T) and np.array_equal(np.diag(image), np.ones(5))
    assert image[0, 2] == pytest.approx(chosen(part, first="epoch0", second="epoch20")["fixed"].mean())
    axis = panel(figure, 1, 0)
    levels = {
        line.get_ydata()[0] for line in axis.lines if len(set(line.get_ydata())) == 1 and len(line.get_ydata()) == 2
    }
    assert levels == {1 / 128}
    drawn = [line for line in axis.lines if line.get_gid() == "measurement"]
    # The end of training, epoch 20, is not compared with itself: lines break there, before the levels of pruning.
    assert len(drawn) == 2 * 6 and all(np.isnan(line.get_ydata()).tolist() == [0, 0, 1, 0, 0] for line in drawn)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "5", "20", "L1", "L2"]


def test_stability_counts_the_groups_of_a_deep_network_in_their_order():
    frame = stability_frame()
    first = chosen(frame, model="cnn", group="features.0")
    units = {f"features.{number}": number + 2 for number in range(13)}
    parts = [first.assign(group=group, units=units[group]) for group in sorted(units)]
    figure = figures.draw("stability", pd.concat(parts, ignore_index=True))
    names = [text.get_text() for axis in figure.axes for text in axis.get_yticklabels() if ": 1/" in text.get_text()]
    assert names == [f"{number}: 1/{number + 1}" for number in range(1, 14)]
    check_view(figure)


def test_layers_draws_every_pair_of_every_kind():
    frame = layers_frame()
    figure = figures.draw("layers", frame)
    mine = chosen(frame, model="cnn", split="train", metric="error")
    for column, kind in enumerate(("bottom_up", "top_down", "one_in", "one_out")):
        axis = panel(figure, 1, column)
        np.testing.assert_allclose(measurements(axis), np.sort(chosen(mine, kind=kind)["barrier"]))


def test_layerwise_draws_every_layer_and_blocks_behind_the_last_prefix():
    frame = layerwise_frame()
    figure = figures.draw("layerwise", frame)
    of = chosen(frame, split="train", metric="error")
    for row, model in enumerate(("mlp", "cnn")):
        mine = chosen(of, model=model)
        for column, parts in enumerate((["one"], ["prefix", "blocks"])):
            axis = panel(figure, row, column)
            np.testing.assert_allclose(measurements(axis), np.sort(mine.loc[mine["part"].isin(parts), "halfway"]))
            labels = [label.get_text() for label in axis.get_xticklabels()]
            assert labels == ["1", "2", "3", *(["blocks"] if (model, column) == ("cnn", 1) else [])]


def test_superposition_draws_the_end_with_every_pair_and_means_along_training():
    frame = superposition_frame()
    figure = figures.draw("superposition", frame)
    mine = chosen(frame, model="mlp", split="train", metric="error")
    last = chosen(mine, epoch=20)
    np.testing.assert_allclose(
        measurements(panel(figure, 0, 0)), np.sort(last.loc[last["method"] != "none", "barrier"])
    )
    assert [label.get_text() for label in panel(figure, 0, 0).get_xticklabels()][-2:] == ["5\n+20", "1…\n20"]
    # A mean for each way to match, and the line of 0.02.
    assert len(panel(figure, 0, 1).lines) == 7 + 1


def test_tickets_are_compared_two_by_two_and_by_epoch_of_rewinding():
    frame = tickets_frame(rewinds=(1, 0, 5), again=True)
    figure = figures.draw("tickets", frame)
    rows = [figure.axes[start : start + 4] for start in range(0, 24, 4)]
    sparsest = frame[(frame["model"] == "mlp") & (frame["level"] == 4)]
    first = frame[(frame["model"] == "mlp") & (frame["rewind"] == 1)]
    np.testing.assert_allclose(measurements(rows[0][0]), np.sort(first["test_error"]))
    np.testing.assert_allclose(measurements(rows[1][0]), np.sort(first["test_disagreement"]))
    np.testing.assert_allclose(measurements(rows[1][3]), np.sort(first["train_ensemble_error"]))
    np.testing.assert_allclose(measurements(rows[2][0]), np.sort(sparsest["test_error"]))
    assert [label.get_text() for label in rows[2][0].get_xticklabels()] == ["0", "1", "5"]
    assert "own mask, again" in legend(figure)
    text = rooms()["tickets"].finding(frame)
    assert text.count("trained again, from epoch 0,") == 2 and text.count("from epoch 5,") == 2
    assert "under its own mask again" in text and ", from epoch" not in rooms()["tickets"].finding(tickets_frame())


def test_transience_draws_errors_gains_and_barriers_by_epoch():
    frame = transience_frame()
    figure = figures.draw("transience", frame)
    rows = [figure.axes[start : start + 4] for start in range(0, 32, 4)]
    titles = [" ".join(axis.get_title().split()) for axis in rows[0]]
    assert titles[:3] == ["child, 1 epoch shared", "child, 5 epochs shared", "independent, no permutation"]
    shown = frame[(frame["metric"] == "error") & (frame["width"] == 16) & (frame["shared"] == 1)]
    test, train = (shown[shown["split"] == split] for split in ("test", "train"))
    # At epoch 10 both means have the same two networks beside them, which are drawn once.
    ends = test[test["network"] != "mean"].drop_duplicates(["network", "a", "value"])
    values = [*test.loc[test["network"] == "mean", "value"], *ends["value"]]
    np.testing.assert_allclose(measurements(rows[0][0]), np.sort(values))
    np.testing.assert_allclose(measurements(rows[3][0]), np.sort(train["barrier"]))
    gains = np.repeat([0.03 * 2, 0.03 / 2, 0.0], [8, 8, 32])
    np.testing.assert_allclose(measurements(rows[2][0]), np.sort(gains), atol=1e-12)


def test_cycles_draws_every_path_and_cycle():
    frame = cycles_frame()
    figure = figures.draw("cycles", frame)
    rows = [("mlp", 16), ("mlp", 64), ("mlp", 128), ("cnn", 4), ("cnn", 8)]
    assert len(figure.axes) == 3 * len(rows)
    error, loss, fixed = figure.axes[3:6]
    cell = frame[(frame["model"] == "mlp") & (frame["width"] == 64)]
    for axis, metric in ((error, "error"), (loss, "loss")):
        np.testing.assert_allclose(measurements(axis), np.sort(cell.loc[cell["metric"] == metric, "barrier"]))
    drawn = cell[(cell["kind"] == "cycle") & (cell["metric"] == "error") & (cell["split"] == "train")]
    np.testing.assert_allclose(measurements(fixed), np.sort(drawn["fixed_points"]))
    assert error.get_ylabel() == "mlp, width 64"
    labels = [label.get_text() for label in error.get_xticklabels()]
    assert labels == ["none", "1", "2", "3", "3↺", "4↺"]
    assert any(list(line.get_ydata()) == [1 / 64] * 2 for line in fixed.lines)
    assert "one path or cycle of 4 networks" in legend(figure)


def test_cycles_leaves_out_those_of_a_common_frame():
    frame = cycles_frame()
    framed = frame[frame["method"] == "weights"].assign(**named("merge-weights"))
    axis = figures.draw("cycles", pd.concat([frame, framed], ignore_index=True)).axes[0]
    cell = frame[(frame["model"] == "mlp") & (frame["width"] == 16) & (frame["metric"] == "error")]
    twice = (cell["method"] == "weights") & (cell["kind"] == "path")
    assert len(measurements(axis)) == len(cell) + twice.sum()


def test_embedding_draws_every_wide_and_padded_network_against_the_narrow_width():
    frame = embedding_frame()
    figure = figures.draw("embedding", frame)
    axis = figure.axes[0]
    cell = frame[(frame["model"] == "mlp") & (frame["metric"] == "error") & (frame["split"] == "train")]
    np.testing.assert_allclose(measurements(axis), np.sort(cell["barrier"]))
    assert list(axis.get_xticks()) == [2, 3] and "in width 8" in axis.get_ylabel()


@pytest.mark.parametrize("name", ["sparsity", "tickets", "pruning"])
def test_every_density_has_a_band_that_holds_its_marks(name):
    axis = figures.draw(name, FRAMES[name]()).axes[0]
    bands = [patch.get_extents().transformed(axis.transData.inverted()) for patch in axis.patches]
    bands = sorted((min(box.x0, box.x1), max(box.x0, box.x1)) for box in bands)
    assert len(bands) == len(axis.get_xticks())
    assert all(one[1] < other[0] for one, other in itertools.pairwise(bands))
    places = np.concatenate([m.get_offsets()[:, 0] for m in axis.collections if m.get_gid() == "measurement"])
    assert all(any(low < place < high for low, high in bands) for place in places)


def test_numbers_that_touch_are_left_out_from_the_last_and_words_are_turned():
    frame = width_frame(models={"mlp": [2**power for power in range(1, 15)]}, claims=CLAIMS[:2])
    axis = figures.draw("width", frame, "paper").axes[0]
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert len(labels) == 14 and labels[-1] == "16384" and 3 <= sum(map(bool, labels)) < 14
    assert {label.get_rotation() for label in axis.get_xticklabels()} == {0}
    words = figures.draw("transfer_masks", transfer_masks_frame().replace("weights", "a" * 40), "paper")
    assert {label.get_rotation() for label in words.axes[0].get_xticklabels()} <= {20, 90}


def test_an_axis_from_zero_holds_intervals_up_to_twice_what_is_drawn():
    from matplotlib.figure import Figure

    from onebasin.figures.intervals import bars

    axes = Figure().subplots(1, 3)
    for axis, end in zip(axes, (1.5, 9.0, 0.5), strict=True):
        axis.set_ylim(-1, 1)
        bars(axis, [1], [0.0], [end], "black", whole=False)
        panels_module.from_zero(axis)
    assert [axis.get_ylim() for axis in axes] == [(0, pytest.approx(1.05 * top)) for top in (1.5, 2, 1)]


def test_an_axis_of_error_barriers_has_room_for_their_intervals():
    frame = width_frame(models={"mlp": [16]}, claims=CLAIMS[:1])
    frame["barrier"] = [0.3, 0.4] * (len(frame) // 2)
    error, loss = figures.draw("width", frame).axes
    assert 1 < error.get_ylim()[1] < 1.2 and loss.get_ylim()[1] < 0.6


@pytest.mark.parametrize(("look", "shown"), [("screen", 3), ("paper", 1)])
def test_a_figure_says_when_it_does_not_draw_all_widths(look, shown):
    for name in ("pairs", "consensus", "correction", "cycles"):
        texts = legend(figures.draw(name, FRAMES[name](), look))
        count = FRAMES[name]().query("model == 'mlp'")["width"].nunique()
        assert (f"mlp: {shown} of {count} widths are drawn" in texts) == (shown < count)
        assert any(text.startswith("cnn: 1 of 2") for text in texts) == (look == "paper")


def test_a_guess_is_in_the_legend_where_it_is_in_view():
    frame = errors_frame()
    assert "a guess" not in legend(figures.draw("errors", frame))
    assert "a guess" in legend(figures.draw("errors", frame.assign(guess=0.1)))


def test_transfer_has_no_panel_where_every_barrier_is_0():
    frame = transfer_frame()
    frame.loc[(frame["metric"] == "loss") & (frame["trained_a"] != frame["trained_b"]), "barrier"] = 0.0
    figure = figures.draw("transfer", frame)
    assert len(figure.axes) == 2 * (4 + 2 + 4)
    titles = [axis.get_title().replace("\n", " ") for axis in figure.axes[4:6]]
    assert titles == ["both trained on the first set", "both trained on the second set"]
    lone = frame.assign(barrier=0.0)
    assert len(figures.draw("transfer", lone).axes) == 2 * (4 + 4 + 4)


@pytest.mark.parametrize("look", style.STYLES)
def test_colours_have_numbers_in_them_or_a_scale_beside_them(look):
    frame = trajectory_frame()
    few = figures.draw("trajectory", frame, look)
    assert panel(few, 0, 0).texts and not any(axis.get_label() == "<colorbar>" for axis in few.axes)
    epochs = sorted(frame["epoch"].unique())
    many = [
        frame.assign(epoch=frame["epoch"] + 100 * turn, found=frame["found"] + 100 * turn)
        for turn in range(-(-10 // len(epochs)))
    ]
    crowded = figures.draw("trajectory", pd.concat(many, ignore_index=True), look)
    assert not panel(crowded, 0, 0).texts and any(axis.get_label() == "<colorbar>" for axis in crowded.axes)


@pytest.mark.parametrize("name", ["trajectory", "superposition"])
def test_in_one_column_the_end_of_training_is_as_broad_as_the_column(name):
    figure = figures.draw(name, FRAMES[name](), "paper")
    figure.draw_without_rendering()
    ends = [axis for axis in figure.axes if axis.get_title() == "end of training"]
    assert len(ends) == 2 and all(axis.bbox.width > 0.7 * figure.bbox.width for axis in ends)
    check_view(figure)


@pytest.mark.parametrize("name", ["stability", "tickets", "cycles", "trajectory"])
def test_figures_of_one_column_leave_room_on_the_page(name):
    assert figures.draw(name, FRAMES[name](), "paper").get_figheight() < 8.5
