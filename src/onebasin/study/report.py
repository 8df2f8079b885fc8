"""The report of a study: one page that needs nothing but itself, what was found first."""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from onebasin import files
from onebasin.experiments import SECTIONS, Room, rooms
from onebasin.findings import LEGEND, Grid
from onebasin.provenance import provenance
from onebasin.study.job import Job
from onebasin.summaries import MEANING

FRONT = "width"
ROWS = 1000
"""Rows of a summary that the page shows; the file has all of them."""


def make(job: Job) -> None:
    """Write the report from figures, summaries and findings, and from nothing else."""
    import jinja2

    made = [
        _room(name, *paths, caption=job.params.captions[name])
        for name, *paths in zip(
            job.params.experiments, job.input.figures, job.input.summaries, job.input.findings, strict=True
        )
    ]
    sections = [
        {"name": section, "anchor": f"section{index}", "rooms": part}
        for index, section in enumerate(SECTIONS, start=1)
        if (part := [room for room in made if room["section"] == section])
    ]
    config = job.config
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    )
    text = page.render(
        study=config["study"],
        about=about(config),
        meaning=MEANING,
        legend=LEGEND,
        sections=sections,
        front=FRONT,
        config=_yaml(config),
        **provenance(),
    )
    with files.atomic(job.output.page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def about(config: Mapping[str, Any]) -> str:
    """Say in a sentence what a study looks at."""
    models = "; ".join(
        f"{model['name']} of {'width' if len(model['widths']) == 1 else 'widths'} "
        f"{', '.join(map(str, model['widths']))}"
        for model in config["models"]
    )
    source = "brought from elsewhere" if config["networks"] else "trained alone from different seeds"
    count = len(config["networks"] or config["seeds"])
    return f"{count} networks {source}, of each width, on the data set {config['data']['name']}: {models}."


def _room(name: str, figure: str, summary: str, finding: str, *, caption: str) -> dict[str, Any]:
    room = rooms()[name]
    with open(summary, newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        bounds = {f"{name}_{end}" for name in lines.fieldnames or () for end in ("low", "high")}
        columns = [name for name in lines.fieldnames or () if name not in bounds]
        rows = [[_cell(line, name) for name in columns] for line in islice(lines, ROWS)]
        more = sum(1 for _ in lines)
    return {
        "name": name,
        "section": room.category,
        "question": room.question,
        "finding": Path(finding).read_text(encoding="utf-8").partition("\n\n")[0].strip(),
        "grids": _grids(room, summary),
        "caption": _html(caption),
        "image": base64.b64encode(Path(figure).read_bytes()).decode(),
        "columns": columns,
        "rows": rows,
        "count": len(rows) + more,
    }


def _cell(line: Mapping[str, str], name: str) -> str:
    """Write a value, with its interval where it has one."""
    low, high = (_short(line.get(f"{name}_{end}", "")) for end in ("low", "high"))
    return f"{_short(line[name])} [{low}, {high}]" if low and high else _short(line[name])


def _grids(room: Room, summary: str) -> list[Grid]:
    """Return the verdicts of a room, to be looked up."""
    import pandas as pd

    if not hasattr(room.module, "GRID"):
        return []
    return room.grids(pd.read_csv(summary, keep_default_na=False, na_values=[""]))


def _short(cell: str) -> str:
    """Write a number with four digits."""
    try:
        return cell if cell.isdecimal() else f"{float(cell):.4g}"
    except ValueError:
        return cell


def _html(text: str) -> Any:
    """Turn the caption of an experiment, reStructuredText, into HTML."""
    from docutils.core import publish_parts  # type: ignore[import-untyped]
    from markupsafe import Markup

    parts = publish_parts(text, writer="html5", settings_overrides={"report_level": 5, "file_insertion_enabled": False})
    return Markup(parts["body"])  # noqa: S704


def _yaml(config: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True, width=100)


def _plain(value: Any) -> Any:
    """Return what plain YAML can hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
