"""The claims of neighbouring papers, and what the tables of studies say of them: the table in docs/neighbours.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from onebasin import prose
from onebasin.landscape.barrier import CONNECTED

Keys = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """A row of the table.

    Attributes:
        text: what is claimed.
        paper: by whom.
        published: their number.
        here: ours, with intervals.
        speaking: numbers above 0 for what speaks for the claim, below 0 for what speaks against it.
        figure: the experiment whose figure shows it.
    """

    text: str
    paper: str
    published: str
    here: str
    speaking: list[int]
    figure: str

    @property
    def verdict(self) -> str:
        """What is to be said of it."""
        yes, no = any(value > 0 for value in self.speaking), any(value < 0 for value in self.speaking)
        if yes and no:
            return "holds in part"
        return "holds here" if yes else "does not hold here" if no else "cannot be decided here"

    def row(self) -> str:
        """Return it as a line of a table."""
        cells = self.text, self.paper, self.published, self.here, self.verdict, f"[{self.figure}](#{self.figure})"
        return f"| {' | '.join(cells)} |\n"


def bounds(table: Any, column: str, keys: Keys) -> list[float]:
    """Return a mean and the ends of its interval; `table.column(**keys)` gives numbers (see ``quoted.Table``)."""
    return [float(getattr(table, f"{column}{end}")(**keys)[0]) for end in ("", "_low", "_high")]


def estimate(table: Any, column: str, keys: Keys) -> str:
    """Write a mean with its interval."""
    return prose.estimate(*bounds(table, column, keys))


def apart(first: Sequence[float], second: Sequence[float]) -> int:
    """Return on which side of another interval one lies, each with its mean: -1 below, 1 above, 0 where they meet."""
    return int(first[1] > second[2]) - int(first[2] < second[1])


def side(table: Any, column: str, first: Keys, second: Keys | float) -> int:
    """Return on which side of another one, or of a number, the interval of an estimate lies (see ``apart``)."""
    other = [second] * 3 if isinstance(second, float) else bounds(table, column, second)
    return apart(bounds(table, column, first), other)


def arxiv(number: str, name: str) -> str:
    """Return a link to a paper."""
    return f"[{name}](https://arxiv.org/abs/{number})"


def of(name: str) -> dict[str, Any]:
    """Return the keys of networks such as "mlp 32"."""
    model, width = name.split()
    return {"model": model, "width": int(width)}


def compared(
    table: Any, column: str, networks: list[str], first: Keys, second: Keys, wanted: int = -1
) -> tuple[str, list[int]]:
    """Compare two estimates for some networks.

    Args:
        table: of a study.
        column: that is compared.
        networks: such as "mlp 32".
        first: keys of the first estimate, without those of the networks.
        second: keys of the second one.
        wanted: on which side of the first one the second one lies if the claim holds.

    Returns:
        The numbers in words, and what speaks for the claim.
    """
    told, speaking = [], []
    for name in networks:
        one, other = {**of(name), **first}, {**of(name), **second}
        told.append(f"{name}: {estimate(table, column, one)} to {estimate(table, column, other)}")
        speaking.append(wanted * side(table, column, other, one))
    return "; ".join(told), speaking


def star(tables: Any) -> list[Claim]:
    """Return what is said of stars."""
    paper = arxiv("2403.07968", "Sonthalia et al. 2024")
    networks = ["mlp 32", "mlp 64", "mlp 128", "cnn 8"]

    def line(network: str, sources: int, path: str = "held-out") -> Keys:
        # Of all methods the one under which ordinary networks have the lowest barriers.
        return {"network": network, "sources": sources, "path": path, "method": "activations"}

    def told(column: str, first: Keys, second: Keys, wanted: int = -1) -> tuple[str, list[int]]:
        return compared(tables.star, column, networks, first, second, wanted)

    ordinary, most = line("ordinary", 0), line("star", 4)
    unseen, unseen_side = told("barrier", ordinary, most)
    known, known_side = told("barrier", most, line("star", 4, "source"))
    mean, mean_side = told("excess", most, line("learned", 4), 1)
    long, long_side = told("barrier", line("longer", 0), most)
    decay, decay_side = told("barrier", line("decay", 0), most)
    more, more_side = told("barrier", line("star", 1), most)
    between, between_side = told("barrier", line("ordinary", 0, "strong"), line("star", 4, "strong"))
    return [
        Claim(
            "A star has lower barriers to networks that it never saw than ordinary networks have",
            paper,
            "MNIST, mlp 64: .016 to .008; CIFAR-10, ResNet-18: .024 to .008, WRN-22-1: .28 to .12",
            f"Ordinary to star of 4: {unseen}",
            unseen_side,
            "star",
        ),
        Claim(
            "Its barriers to its own sources are lower still",
            paper,
            "MNIST, mlp 64: .008 to .004; ResNet-18: .008 to .003; WRN-22-1: .12 to .03",
            f"Held-out to source, star of 4: {known}",
            known_side,
            "star",
        ),
        Claim(
            "The gain is not that of a longer training",
            f"{paper}, a control",
            "",
            f"Longer to star of 4: {long}",
            long_side,
            "star",
        ),
        Claim(
            "The gain is not that of strong weight decay",
            f"{paper}, a control",
            "",
            f"Strong decay to star of 4: {decay}",
            decay_side,
            "star",
        ),
        Claim(
            "The mean of the sources in a common frame is no substitute",
            f"{paper}, asked by reviewers",
            "",
            f"Excess of the worst point over the better end, star of 4 to the mean of 4 in a learned frame: {mean}",
            mean_side,
            "star",
        ),
        Claim(
            "More sources make a better star",
            f"{paper}, asked by reviewers",
            "",
            f"Star of 1 to star of 4: {more}",
            more_side,
            "star",
        ),
        Claim(
            "A star is a better reference for strong paths",
            f"{paper}, asked by reviewers",
            "",
            f"Between two held-out networks, ordinary reference to star of 4: {between}",
            between_side,
            "star",
        ),
    ]


def butterfly(tables: Any) -> list[Claim]:
    """Return what is said of children that were changed a little."""
    paper, table = arxiv("2506.13234", "Butterfly effect"), tables.butterfly

    def child(sigma: float | None, share: float = 1.0, epoch: int = 0, method: str = "none") -> Keys:
        how = {"kind": "order"} if sigma is None else {"kind": "gaussian", "sigma": sigma, "share": share}
        return {**how, "epoch": epoch, "step": 0, "method": method}

    def changes(method: str) -> list[int]:
        ways = [(None, 1.0), (0.1, 1.0), (1e-3, 1.0), (1e-6, 1.0), (0.1, 0.0)]
        return [side(table, "change", child(*way, epoch, method), 0.0) for way in ways for epoch in (0, 1, 5)]

    independent = {"kind": "independent", "method": "none"}
    one = child(0.1, 0.0)
    moments = [child(0.1, epoch=epoch) for epoch in (0, 1, 5)]
    sizes = [child(sigma) for sigma in (0.1, 1e-3, 1e-6)]
    learned, by_activations = changes("learned"), changes("activations")
    return [
        Claim(
            "One changed weight at initialisation is enough for a barrier like that of independent networks",
            paper,
            "of the same size",
            f"mlp 64: {estimate(table, 'barrier', one)}; independent: {estimate(table, 'barrier', independent)}",
            [side(table, "barrier", one, independent)],
            "butterfly",
        ),
        Claim(
            "The barrier falls fast with the moment of the change",
            paper,
            "",
            "mlp 64, noise of σ = 0.1 at step 0, after 1 and after 5 epochs: "
            + ", ".join(estimate(table, "barrier", keys) for keys in moments),
            [side(table, "barrier", early, late) for early, late in zip(moments, moments[1:], strict=False)],
            "butterfly",
        ),
        Claim(
            "The larger the change, the higher the barrier",
            paper,
            "",
            "mlp 64, noise at step 0, σ = 0.1, 0.001 and 0.000001: "
            + ", ".join(estimate(table, "barrier", keys) for keys in sizes),
            [side(table, "barrier", large, small) for large, small in zip(sizes, sizes[1:], strict=False)],
            "butterfly",
        ),
        Claim(
            "Permutations do not lower barriers between a network and its changed child",
            paper,
            "none is lower, by weights or activations",
            f"mlp 64: learned through the loss, permutations lower {sum(value < 0 for value in learned)} of "
            f"{len(learned)} barriers and raise {sum(value > 0 for value in learned)}, by activations "
            f"{sum(value < 0 for value in by_activations)} and {sum(value > 0 for value in by_activations)}; those of "
            "independent networks learned ones change by "
            + estimate(table, "change", {**independent, "method": "learned"}),
            [-1 if min(learned + by_activations) < 0 else 1],
            "butterfly",
        ),
    ]


def mechanism(tables: Any, wide: Any) -> list[Claim]:
    """Return what is said of the fall of barriers without a permutation."""
    paper = arxiv("2510.08023", "Do we really need permutations?")
    widest = ["mlp 1024", "mlp 4096", "mlp-decay-1e-4 1024", "mlp-decay-3e-3 1024"]
    matched = {"kind": "matched", "method": "activations", "metric": "loss_calibrated"}

    def plain_of(name: str, metric: str = "error") -> Keys:
        return {**of(name), "kind": "none", "method": "none", "metric": metric}

    def calibrated(name: str) -> tuple[Keys, Keys]:
        return plain_of(name, "loss_calibrated"), {**of(name), **matched}

    decayed = "mlp-decay-1e-4 1024", "mlp-decay-1e-3 1024", "mlp-decay-3e-3 1024", "mlp-decay-1e-2 1024"

    def share(metric: str, name: str) -> list[float]:
        keys = {**of(name), "method": "activations", "metric": metric}
        return [float(getattr(wide.mechanism_share, column)(**keys)[0]) for column in ("share", "low", "high")]

    def layer(name: str, kind: str, depth: int = 4) -> Keys:
        method = "none" if kind == "none" else "activations"
        return {**of(name), "kind": kind, "method": method, "share": 0.25, "depth": depth}

    told, mixing = [], []
    for name in ("mlp 64", "mlp 256", "cnn 8"):
        for kind, wanted in (("none", 1), ("matched", -1)):
            linear, exponential = (
                bounds(tables.mechanism_layers, f"{which}_error", layer(name, kind))
                for which in ("linear", "exponential")
            )
            told.append(f"{name}, {kind}: {prose.estimate(*linear)} and {prose.estimate(*exponential)}")
            mixing.append(wanted * apart(linear, exponential))
    shares = {name: share("error", name) for name in ("mlp 64", "mlp 256", "mlp 1024", "mlp 4096")}
    return [
        Claim(
            "Wide networks are connected without a permutation",
            paper,
            "MNIST, MLP 16 times as wide, error barrier .005 (matched 0)",
            "; ".join(f"{name}: {estimate(wide.mechanism, 'barrier', plain_of(name))}" for name in widest),
            [-side(wide.mechanism, "barrier", plain_of(name), CONNECTED) for name in widest],
            "mechanism",
        ),
        Claim(
            "With calibrated temperatures, their mean is as good as that of matched networks",
            paper,
            "VGG-11, error barrier .013 (matched .070); ResNet-20 .027 (.051)",
            "Calibrated loss, and matched: "
            + "; ".join(
                f"{name}: {', '.join(estimate(wide.mechanism, 'barrier', keys) for keys in calibrated(name))}"
                for name in widest
            ),
            [-1 if side(wide.mechanism, "barrier", *calibrated(name)) > 0 else 1 for name in widest],
            "mechanism",
        ),
        Claim(
            "Most of the fall of error barriers with width needs no permutation",
            paper,
            "",
            "; ".join(f"{name}: {prose.estimate(*values)}" for name, values in shares.items())
            + f"; of the loss, mlp 4096: {prose.estimate(*share('loss', 'mlp 4096'))}",
            [int(low > 0.5) - int(high < 0.5) for _, low, high in shares.values()],
            "mechanism",
        ),
        Claim(
            "Layers of a mixture follow the exponentially weighted mechanism without a permutation, and the linear one "
            "with one",
            paper,
            "",
            "Squared errors of the linear and the exponential prediction of the last layer, λ = 1/4: "
            + "; ".join(told),
            mixing,
            "mechanism",
        ),
        Claim(
            "With strong weight decay networks hardly see each other's activations, with little they do",
            paper,
            "3e-3 has it, 1e-4 has not",
            "Overlap of the last layer, width 1024, decay 1e-4, 1e-3, 3e-3 and 1e-2: "
            + ", ".join(estimate(wide.mechanism_layers, "seen", layer(name, "none")) for name in decayed),
            [side(wide.mechanism_layers, "seen", layer(decayed[0], "none"), layer(decayed[2], "none"))],
            "mechanism",
        ),
    ]


def layerwise(tables: Any, residual: Any) -> list[Claim]:
    """Return what is said of single layers and of the blocks of a stage."""
    table = tables.layerwise

    def alone(name: str, layer: int, method: str) -> Keys:
        return {**of(name), "part": "one", "layer": layer, "method": method}

    def worst(name: str, method: str) -> str:
        layers = sorted(range(1, 5), key=lambda layer: bounds(table, "barrier", alone(name, layer, method))[0])
        return f"{name}: {estimate(table, 'barrier', alone(name, layers[-1], method))} (layer {layers[-1]})"

    networks = ["mlp 32", "mlp 128", "cnn 8"]
    claims = [
        Claim(
            f"One layer alone meets no barrier{after}",
            paper,
            published,
            "The worst of four layers: " + "; ".join(worst(name, method) for name in networks),
            [
                -side(table, "barrier", alone(name, layer, method), CONNECTED)
                for name in networks
                for layer in range(1, 5)
            ],
            "layerwise",
        )
        for after, paper, published, method in (
            ("", arxiv("2307.06966", "Adilova et al. 2024"), "none, for most layers", "none"),
            (", once networks are matched", "asked here", "", "activations"),
        )
    ]
    whole, blocks = ({"part": part, "layer": 22, "method": "activations"} for part in ("prefix", "blocks"))
    told, speaking = compared(residual.layerwise, "barrier", ["resnet20 8", "resnet20 16"], whole, blocks)
    return [
        *claims,
        Claim(
            "Part of the barrier of residual networks is that one permutation must serve all blocks of a stage",
            "[Debugging re-basin](https://openreview.net/forum?id=zffCxj5BdZ)",
            "",
            f"One permutation a stage to one a block: {told}",
            speaking,
            "layerwise",
        ),
    ]


def controls(tables: Any) -> list[Claim]:
    """Return what is said of asymmetric networks and of hierarchical frames."""
    table, plain = tables.width, {"claim": "none", "method": "none"}
    asymmetric = {name: {**of(name), **plain} for name in ("mlp-asymmetric 48", "mlp-asymmetric 192")}
    paper = arxiv("2405.20231", "Lim et al. 2024")
    merged, paired = ({"claim": "strong", "method": f"{name}-activations"} for name in ("merge", "hierarchical"))
    told, speaking = compared(table, "barrier", ["mlp 32", "mlp 64", "mlp 128", "mlp 256", "cnn 8"], merged, paired, 1)
    return [
        Claim(
            "Networks whose units are not interchangeable are connected without matching",
            paper,
            "",
            "; ".join(f"{name}: {estimate(table, 'barrier', keys)}" for name, keys in asymmetric.items()),
            [-side(table, "barrier", keys, CONNECTED) for keys in asymmetric.values()],
            "asymmetric",
        ),
        Claim(
            "Their barriers are lower than those of ordinary networks",
            paper,
            "",
            f"mlp 256 to mlp-asymmetric 192: {estimate(table, 'barrier', {**of('mlp 256'), **plain})} to "
            f"{estimate(table, 'barrier', asymmetric['mlp-asymmetric 192'])}",
            [side(table, "barrier", {**of("mlp 256"), **plain}, asymmetric["mlp-asymmetric 192"])],
            "asymmetric",
        ),
        Claim(
            "A frame of pairs, then of means of pairs, is worse than one that is found from all at once",
            "asked here, of " + arxiv("2510.09174", "hierarchical merging"),
            "",
            f"`merge_many` to `hierarchical`, by activations: {told}",
            speaking,
            "hierarchical",
        ),
    ]


def transience(tables: Any) -> list[Claim]:
    """Return what is said of training that goes on from a mean."""
    paper, table = "Iyer, Dziugaite, Rolnick 2024", tables.transience
    after = {"at once": 0, "after 1 epoch": 1, "in the end": 20}

    def gain(width: int, further: int, shared: int | None = 1) -> Keys:
        kind = {"kind": "child", "shared": shared} if shared else {"kind": "independent", "method": "activations"}
        where = {"model": "mlp", "width": width, "network": "mean", "split": "test"}
        return {**where, **kind, "epoch": 20, "further": further}

    def end(network: str) -> Keys:
        return {**gain(256, 20, None), "network": network, "split": "train"}

    def told(further: int, column: str = "gain") -> str:
        return "; ".join(
            f"mlp {width}, {shared} shared: {estimate(table, column, gain(width, further, shared))}"
            for width in (64, 256)
            for shared in (1, 5)
        )

    children = [(width, shared) for width in (64, 256) for shared in (1, 5)]
    lasting = {
        name: [side(table, "gain", gain(width, k, n), 0.0) for width, n in children] for name, k in after.items()
    }
    return [
        Claim(
            "The mean of a network and its child has a lower error than each",
            paper,
            "",
            f"Gain of test error, mean at epoch 20 of 40: {told(0)}",
            lasting["at once"],
            "transience",
        ),
        Claim(
            "The gain is lost again when training goes on from the mean",
            paper,
            "",
            f"After 20 epochs more: {told(20)}",
            [-1 if value > 0 else 1 for value in lasting["in the end"]],
            "transience",
        ),
        Claim(
            "The gain lies in the hard examples",
            paper,
            "",
            "On easy and on hard images: "
            + "; ".join(
                f"mlp {width}, {n} shared: {estimate(table, 'gain_easy', gain(width, 0, n))} and "
                f"{estimate(table, 'gain_hard', gain(width, 0, n))}"
                for width, n in children
            ),
            [
                apart(*(bounds(table, f"gain_{kind}", gain(width, 0, n)) for kind in ("hard", "easy")))
                for width, n in children
            ],
            "transience",
        ),
        Claim(
            "What goes on from the mean of aligned independent networks stays connected to both",
            "asked here",
            "",
            f"mlp 256, error barriers in the end: {estimate(table, 'barrier', end('a'))} and "
            f"{estimate(table, 'barrier', end('b'))}; of the two: {estimate(table, 'barrier', end('mean'))}",
            [-side(table, "barrier", end(network), CONNECTED) for network in "ab"],
            "transience",
        ),
    ]


def nonlocal_merging(merged: Any) -> list[Claim]:
    """Return what is said of experts of several tasks."""
    paper, table = arxiv("2410.12766", "Non-local merging"), vars(merged)["nonlocal"]
    widths = ["mlp 64", "mlp 256", "mlp 1024", "cnn 8"]

    def experts(count: int, method: str, correction: str, origin: str = "independent") -> Keys:
        fitted = {"none": "none", "repair": "all", "task": "own"}[correction]
        where = {"origin": origin, "merge": "mean", "method": method}
        return {**where, "correction": correction, "fitted": fitted, "count": count}

    def change(count: int, name: str) -> Keys:
        return {**of(name), **experts(count, "merge-activations", "task")}

    frame = "merge-activations"
    fails, failing = compared(
        table, "excess", widths, experts(2, frame, "none", "common"), experts(2, frame, "none"), 1
    )
    task, by_task = compared(table, "excess", widths, experts(2, frame, "repair"), experts(2, frame, "task"))
    needed = {
        count: "; ".join(f"{name}: {estimate(table, 'change', change(count, name))}" for name in widths[:3])
        for count in (2, 4)
    }
    decided = [
        *(-side(table, "change", change(2, name), 0.0) for name in ("mlp 64", "mlp 256")),
        -1 if side(table, "change", change(2, "mlp 1024"), 0.0) < 0 else 1,
    ]
    wide = -1 if side(table, "change", change(4, "mlp 1024"), 0.0) < 0 else 1
    return [
        Claim(
            "Experts of other starts merge worse than those of one start, after a permutation too",
            paper,
            "",
            f"Two tasks, test error above the experts', common to independent starts, aligned: {fails}",
            failing,
            "nonlocal",
        ),
        Claim(
            "With the statistics of each task's expert they merge better than with REPAIR",
            paper,
            "",
            f"Two tasks, independent starts, aligned, REPAIR to TACT: {task}",
            by_task,
            "nonlocal",
        ),
        Claim(
            "With these statistics alignment matters up to width 256, and no longer at 1024",
            "trials of this study",
            "",
            f"What alignment changes, two tasks: {needed[2]}",
            decided,
            "nonlocal",
        ),
        Claim(
            "The same for four tasks",
            "asked here",
            "",
            f"What alignment changes, four tasks: {needed[4]}",
            [*(-side(table, "change", change(4, name), 0.0) for name in ("mlp 64", "mlp 256")), wide],
            "nonlocal",
        ),
    ]


def splits(tables: Any) -> list[Claim]:
    """Return what is said of networks that saw parts of the data."""
    paper, table = arxiv("2407.05385", "CCA merge"), tables.splits
    ways = {"halves": ("equal", 2), "80/20 by class": ("classes", 2), "Dirichlet(0.5)": ("dirichlet", 2)}

    def networks(way: str, network: str, start: str = "independent", **matched: str) -> Keys:
        by, number = ways[way]
        how = {"method": "none", "correction": "none", **matched}
        where = {"model": "mlp", "width": 128}
        return {**where, "by": by, "number": number, "start": start, "network": network, **how}

    def against(first: Mapping[str, Keys], second: Mapping[str, Keys], wanted: int = -1) -> tuple[str, list[int]]:
        told = [
            f"{way}: {estimate(table, 'value', first[way])} to {estimate(table, 'value', second[way])}" for way in ways
        ]
        return "; ".join(told), [wanted * side(table, "value", second[way], first[way]) for way in ways]

    best = {"method": "activations", "correction": "repair"}
    plain = {way: networks(way, "mean") for way in ways}
    matched = {way: networks(way, "mean", **best) for way in ways}
    alone = {way: networks(way, "alone") for way in ways}
    together = {way: networks(way, "ensemble") for way in ways}
    common = {way: networks(way, "mean", "common") for way in ways}
    of_plain, plain_side = against(plain, matched)
    of_alone, alone_side = against(alone, matched)
    of_ensemble, ensemble_side = against(matched, together)
    of_common, common_side = against(matched, common)
    return [
        Claim(
            "Networks of disjoint parts merge better once they are matched",
            paper,
            "by CCA, where permutations fail",
            f"mlp 128, test error of the plain mean to the matched one with REPAIR: {of_plain}",
            plain_side,
            "splits",
        ),
        Claim(
            "Their matched mean errs less than each alone",
            "asked here",
            "",
            f"mlp 128, one alone to the matched mean: {of_alone}",
            alone_side,
            "splits",
        ),
        Claim(
            "Their ensemble errs less than the matched mean",
            "asked here",
            "",
            f"mlp 128, matched mean to ensemble: {of_ensemble}",
            ensemble_side,
            "splits",
        ),
        Claim(
            "From one start the plain mean errs less than the matched one from several",
            "asked here",
            "",
            f"mlp 128, matched mean of several starts to the plain one of one: {of_common}",
            common_side,
            "splits",
        ),
    ]


def linear(tables: Any) -> list[Claim]:
    """Return what is said of linear maps in place of permutations."""
    paper, table = arxiv("2407.05385", "CCA merge"), tables.linear
    networks = ["mlp 32", "mlp 128", "cnn 8"]

    def merged(alignment: str, count: int, what: str = "mean") -> Keys:
        return {"correction": "none", "alignment": alignment, "what": what, "count": count}

    few, of_few = compared(table, "excess", networks, merged("permutation", 2), merged("cca", 2))
    four, of_four = compared(table, "excess", networks, merged("permutation", 4), merged("cca", 4))
    more, of_more = compared(table, "excess", networks, merged("cca", 2), merged("cca", 4))
    alone = {name: {**of(name), **merged("cca", 1, "alone")} for name in networks}
    return [
        Claim(
            "Two networks merge better by CCA than by permutations",
            paper,
            "",
            f"Test error of the mean above that of the networks, permutation to CCA: {few}",
            of_few,
            "linear",
        ),
        Claim(
            "So do more, where permutations collapse",
            paper,
            "",
            f"Four networks: {four}",
            of_four,
            "linear",
        ),
        Claim(
            "By CCA, accuracy hardly falls with their number",
            paper,
            "",
            f"Two networks to four: {more}",
            [
                -1
                if side(table, "excess", {**of(name), **merged("cca", 4)}, {**of(name), **merged("cca", 2)}) > 0
                else 1
                for name in networks
            ],
            "linear",
        ),
        Claim(
            "The map is no symmetry: the mapped network alone errs more",
            "asked here",
            "",
            "; ".join(f"{name}: {estimate(table, 'excess', keys)}" for name, keys in alone.items()),
            [side(table, "excess", keys, 0.0) for keys in alone.values()],
            "linear",
        ),
    ]


def tickets(rewound: Any) -> list[Claim]:
    """Return what is said of masks that were permuted."""
    paper, table = arxiv("2505.05143", "Sparse re-basin"), rewound.tickets

    def ticket(mask: str, rewind: int, method: str = "none", width: int = 128) -> Keys:
        return {"model": "mlp", "width": width, "level": 4, "rewind": rewind, "mask": mask, "method": method}

    widths, epochs = (32, 128), (0, 1, 5, 10)
    pairs = [(ticket("again", 1, width=width), ticket("permuted", 1, "activations", width)) for width in widths]
    alone = [(ticket("own", 1, width=width), ticket("permuted", 1, "activations", width)) for width in widths]
    permuted = [[ticket("permuted", epoch, "activations", width) for epoch in epochs] for width in widths]
    own = [[ticket("own", epoch, width=width) for epoch in epochs] for width in widths]

    def told(column: str, both: list[tuple[Keys, Keys]]) -> str:
        return "; ".join(
            f"mlp {first['width']}: {estimate(table, column, first)} to {estimate(table, column, second)}"
            for first, second in both
        )

    def by_epoch(rows: list[list[Keys]]) -> str:
        return "; ".join(
            f"mlp {keys[0]['width']}: " + ", ".join(estimate(table, "test_error", one) for one in keys) for keys in rows
        )

    return [
        Claim(
            "Permuted tickets of two networks are less alike than own ones",
            paper,
            "disagreement .107 (permuted), .035 (own)",
            f"Rewound to epoch 1, sparsest level, own again to permuted: {told('test_disagreement', pairs)}",
            [side(table, "test_disagreement", second, first) for first, second in pairs],
            "tickets",
        ),
        Claim(
            "Each permuted ticket errs more than an own one",
            paper,
            "",
            f"Own to permuted: {told('test_error', alone)}",
            [side(table, "test_error", second, first) for first, second in alone],
            "tickets",
        ),
        Claim(
            "The ensemble of permuted tickets errs less than that of own ones",
            paper,
            "",
            f"Own again to permuted: {told('test_ensemble_error', pairs)}",
            [side(table, "test_ensemble_error", first, second) for first, second in pairs],
            "tickets",
        ),
        Claim(
            "Rewound to epoch 0, neither own nor permuted masks serve",
            paper,
            "",
            f"Permuted, rewound to epochs 0, 1, 5 and 10: {by_epoch(permuted)}; own: {by_epoch(own)}",
            [side(table, "test_error", rows[0], later) for rows in (*permuted, *own) for later in rows[1:]],
            "tickets",
        ),
    ]


def claims(
    tables: SimpleNamespace,
    wide: SimpleNamespace,
    residual: SimpleNamespace,
    merged: SimpleNamespace,
    rewound: SimpleNamespace,
) -> str:
    """Return the table of all claims.

    Args:
        tables: of studies/neighbours.yaml, by their names (see ``quoted.names``).
        wide: of studies/neighbours-wide.yaml.
        residual: of studies/neighbours-residual.yaml.
        merged: of studies/nonlocal.yaml.
        rewound: of studies/tickets.yaml.
    """
    found = [
        *star(tables),
        *butterfly(tables),
        *mechanism(tables, wide),
        *layerwise(tables, residual),
        *controls(tables),
        *transience(tables),
        *nonlocal_merging(merged),
        *splits(tables),
        *linear(tables),
        *tickets(rewound),
    ]
    head = "| claim | paper | published | here | verdict | shown |\n|---|---|---|---|---|---|\n"
    return head + "".join(claim.row() for claim in found)
