"""The experiments, one module each, and what such a module says.

The docstring of the module is the question (its first line) and the caption of the report (the rest). It defines

* ``PLACE`` and ``CATEGORY``: its place in lists, and its section of the report, one of ``SECTIONS``;
* ``NEEDS``: what its measurement gets, and how many networks it takes at least;
* ``SETTINGS``: the JSON schemas of the keys of its section of the config, whose defaults stand in config.yaml;
* ``COLUMNS``: of its table; ``TABLES``: the columns of further tables that it measures, by their names;
* ``check(config)``: what the schema cannot say, as pairs of a key and what is wrong with it;
* ``pairs(networks, settings)``: the pairs whose permutations it needs, besides those that every experiment looks at;
* ``work(settings, counts)``: how much its measurement does, of which time and memory follow;
* ``measure(study, settings)``: its rows, or for each of several tables its rows;
* ``table(parts, settings)``: from the rows of its parts to the rows of its table, where these are not the same;
* ``SUMMARY``: the means that its figure draws and its finding tells;
* ``GRID``: by which keys of the summary its verdicts are laid out in a table beside the finding (see
  ``findings.grids``); none unless it is given;
* ``finding(table)``: from the data frame of its table to one to three sentences, computed;
* ``figure(table)``: from the data frame of its table to a figure;
* ``VERSION``: 1 unless it is given; it is raised when the module's code changes what it measures or tabulates.

NEEDS, COLUMNS, SUMMARY, finding and figure are there in all of them. Nothing heavy is imported until a function runs,
for the rules read these modules while they plan.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from onebasin.columns import Columns
from onebasin.findings import UNDECIDED, Grid, grids
from onebasin.summaries import summarise

if TYPE_CHECKING:
    from pandas import DataFrame

Row = dict[str, Any]

SECTIONS = (
    "Networks and width",
    "More than two",
    "Matching",
    "Along training",
    "Pruning",
    "Other sizes and other data",
)
"""The sections of the report, in the order in which one reads."""
TEXTS = ("pydoc", "text_folder")
"""Data sets of text, for models of the user's own."""


@dataclass(frozen=True)
class Needs:
    """What an experiment takes, and what its measurement gets.

    Attributes:
        networks: how many networks at least.
        purpose: what takes as many, as in "at least 3, for a cycle".
        widths: the key of the config that says at which widths it is measured, such as "cycles.widths"; empty for all.
        points: the key of the number of points on a line; None where no line is measured.
        corrected: whether ``barrier.correction`` applies; False where corrections are compared.
        states: sets of networks, by the names that the rules give them.
        masks: sets of networks whose masks of pruning it gets.
        permutations: stages at which permutations of all pairs were found.
        strong: whether it looks at strong paths, in the frame of a third network.
        frames: whether it gets the common frames.
        algorithms: the key of its section that names algorithms besides those of methods and frames.
        data: the data sets that it gets, of "first", "second", "butterfly" and "transience"; "tasks" for those of all
            tasks.
        unread: keys of its section that its measurement does not read.
        parts: how its measurement is divided: by "none", "methods" and "frames", by "levels", or not at all.
        shared: whether several jobs may share a part.
        gathers: what its table is made from: measurements by the name of their experiment, "matching" or "frame", each
            with its parts, or "table NAME". Its own measurement unless it is given.
    """

    networks: int
    purpose: str
    widths: str = ""
    points: str | None = "barrier.points"
    corrected: bool = True
    states: tuple[str, ...] = ("last",)
    masks: tuple[str, ...] = ()
    permutations: tuple[str, ...] = ()
    strong: bool = False
    frames: bool = False
    algorithms: str = ""
    data: tuple[str, ...] = ("first",)
    unread: tuple[str, ...] = ("widths",)
    parts: tuple[str, ...] = ()
    shared: bool = False
    gathers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def uses(self) -> set[str]:
        """Whether its rows name "methods", "frames" or both."""
        of_methods = self.permutations or {"tickets", "second_tickets", "transience"} & {*self.states}
        return {*self.parts} | ({"methods"} if of_methods else set()) | ({"frames"} if self.frames else set())


@dataclass(frozen=True)
class Counts:
    """What one job has in hand.

    Attributes:
        networks: trained networks of the model and width.
        pairs: unordered pairs of them that it looks at.
        strong: strong paths that are looked at, in the frames of third networks.
        methods: matching methods for two networks.
        frames: common frames.
        unpermuted: 1 where it measures without a permutation too, else 0.
        states: networks that it reads.
        stages: stages of training that it looks at.
        layers: layers of the network.
    """

    networks: int
    pairs: int
    strong: int
    methods: int
    frames: int
    unpermuted: int
    states: int
    stages: int
    layers: int

    @property
    def series(self) -> int:
        """What is measured of each pair: without a permutation, and with that of each method."""
        return self.unpermuted + self.methods


@dataclass(frozen=True)
class Room:
    """One experiment, as its module describes it."""

    name: str
    module: ModuleType

    @property
    def question(self) -> str:
        """The question, one sentence."""
        return self._text()[0]

    @property
    def caption(self) -> str:
        """The caption of its table and figure in the report, reStructuredText."""
        return self._text()[1]

    def _text(self) -> tuple[str, str]:
        question, _, caption = (self.module.__doc__ or "").strip().partition("\n\n")
        return " ".join(question.split()), " ".join(caption.split())

    @property
    def category(self) -> str:
        """Its section of the report."""
        return self.module.CATEGORY

    @property
    def needs(self) -> Needs:
        """What it takes."""
        return self.module.NEEDS

    @property
    def settings(self) -> Mapping[str, Any]:
        """The JSON schemas of the keys of its section of the config; empty where it has none."""
        return getattr(self.module, "SETTINGS", {})

    @property
    def tables(self) -> dict[str, Columns]:
        """The columns of its table, and of further ones that it measures."""
        return {self.name: self.module.COLUMNS, **getattr(self.module, "TABLES", {})}

    @property
    def measured(self) -> Columns:
        """The columns of its measurement, from which its table is made."""
        return getattr(self.module, "MEASURED", self.module.COLUMNS)

    @property
    def version(self) -> int:
        """The version of its measurement and its table, 1 until it is raised."""
        return getattr(self.module, "VERSION", 1)

    @property
    def measures(self) -> bool:
        """Whether it has a measurement of its own."""
        return hasattr(self.module, "measure")

    @property
    def gathers(self) -> Mapping[str, tuple[str, ...]]:
        """What its table is made from, each with its parts."""
        return self.needs.gathers or {self.name: self.needs.parts}

    def check(self, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the keys of a config that contradict each other, and what is wrong with them."""
        check = getattr(self.module, "check", None)
        yield from check(config) if check else ()

    def pairs(self, networks: Sequence[int], settings: Mapping[str, Any]) -> Iterable[tuple[int, int]]:
        """Return the pairs whose permutations it needs, besides those that every experiment looks at."""
        find = getattr(self.module, "pairs", None)
        return find(networks, settings) if find else ()

    def work(self, settings: Mapping[str, Any], counts: Counts) -> dict[str, Any]:
        """Return what its measurement does: evaluations, matchings, and how mixtures are corrected."""
        return self.module.work(settings, counts)

    def measure(self, study: Any, settings: Mapping[str, Any]) -> dict[str, list[Row]]:
        """Measure one part; return the rows of each of its tables."""
        found = self.module.measure(study, settings)
        return found if isinstance(found, dict) else {self.name: list(found)}

    def summary(self, table: DataFrame) -> DataFrame:
        """Return the means of its table, with intervals and verdicts (see ``summaries.summarise``)."""
        return summarise(table, self.module.SUMMARY)

    def grids(self, summary: DataFrame) -> list[Grid]:
        """Return its verdicts and means, to be looked up, from its summary; none where it has no ``GRID``."""
        laid = getattr(self.module, "GRID", None)
        return grids(summary, **laid) if laid and len(summary) else []

    def finding(self, table: DataFrame) -> str:
        """Return what its table says, in one to three sentences."""
        return self.module.finding(table) if len(table) else UNDECIDED

    def table(self, parts: Mapping[str, Iterable[Row]], settings: Mapping[str, Any]) -> Iterable[Row]:
        """Turn the rows of what it gathers, in the order of its parts, into the rows of its table."""
        make: Callable[..., Iterable[Row]] | None = getattr(self.module, "table", None)
        return make(parts, settings) if make else next(iter(parts.values()))


@functools.cache
def rooms() -> dict[str, Room]:
    """Return every experiment by its name, in the order of the lists."""
    found = []
    for entry in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{entry.name}")
        found.append((module.PLACE, Room(entry.name, module)))
    return {room.name: room for _, room in sorted(found, key=lambda item: (item[0], item[1].name))}


def own_networks() -> dict[str, Any]:
    """Return the settings of an experiment that trains networks of its own: on which data, and how."""
    return {
        "data": {
            "description": "The data set on which its networks are trained; it lies in `data.data_dir`.",
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "name": {"description": "Its name; same for that of the study.", "$ref": "#/$defs/second_data_set"},
                "label_noise": {
                    "description": "Share of its training images with a wrong label; same for that of the study.",
                    "anyOf": [{"enum": ["same"]}, {"type": "number", "minimum": 0, "maximum": 1}],
                },
            },
        },
        "training": {
            "description": "What its networks are trained with in place of what stands in `training` and with the "
            "models.",
            "type": "object",
            "$ref": "#/properties/training",
        },
    }


def wrong_labels(config: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong where an experiment that trains networks of its own gives text wrong labels.

    Args:
        config: the config.
        name: of the experiment.
    """
    data = config["data"]["name"]
    if data in TEXTS and config[name]["data"]["label_noise"] not in ("same", 0):
        yield f"{name}.data.label_noise", f"wrong labels are of images, and {data!r} is text. Allowed: 0"


def widths(description: str) -> dict[str, Any]:
    """Return the schema of a list of widths."""
    return {
        "description": description,
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "uniqueItems": True,
    }


def corrections(*, tasks: bool = False) -> dict[str, Any]:
    """Return the schema of a list of corrections; "task" is one where networks are of several tasks."""
    return {
        "description": "The corrections that are compared, as in `barrier.correction`"
        + (", or task: towards the expert of each task." if tasks else "."),
        "type": "array",
        "items": {"type": "string", "enum": ["none", "reset", "repair", *(["task"] if tasks else [])]},
        "minItems": 1,
        "uniqueItems": True,
    }
