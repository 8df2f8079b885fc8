"""Write what the documents say of experiments and tables: docs/tables.md, and lists on pages.

python docs/generate.py            # what `make docs` does
"""

from __future__ import annotations

import re
from pathlib import Path

from onebasin.columns import Columns
from onebasin.experiments import rooms
from onebasin.tables import FRAME, MATCHING, TRAINING

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- experiments: made by `make docs` -->\n", "<!-- /experiments -->\n"
HEAD = """# Tables

*You want to know what a column holds.* This page is made by `make docs` from the modules in `src/onebasin/experiments`.

Tables are CSV with one row per measurement. Numbers are written so that they are read back exactly. `a < b` for every
pair unless it says otherwise. `onebasin.tables.read(path, name)` gives a data frame and checks the columns.

Measurements lie in `measurements/<table>/<model>/width<W>/<part>.csv`. They have the columns of their table, except for
those of `width`: these are curves of every claim, with the columns of `pairs`.
"""
STAGES = {
    "networks/<model>/width<W>/seed<S>/training.csv": ("One row per epoch of a training.", TRAINING),
    "permutations/<model>/width<W>/<method>/<stage>.csv": ("One row per pair that was matched.", MATCHING),
    "frames/<model>/width<W>/<frame>.csv": ("One row per pair of the networks of a frame.", FRAME),
}


def section(title: str, text: str, columns: Columns) -> str:
    """Return the description of a table."""
    lines = [f"| `{column.name}` | {column.meaning} |" for column in columns]
    return "\n".join([f"\n## `{title}`\n", text, "\n| column | meaning |\n|---|---|", *lines, ""])


def tables_page() -> str:
    """Return docs/tables.md."""
    parts = [HEAD]
    for room in rooms().values():
        for name, columns in room.tables.items():
            parts.append(section(f"tables/{name}.csv", f"{room.question} (`{room.name}`)", columns))
    parts += [section(title, text, columns) for title, (text, columns) in STAGES.items()]
    return "".join(parts)


def categories() -> str:
    """Return the list in README.md: the experiments of each category."""
    names: dict[str, list[str]] = {}
    for room in rooms().values():
        names.setdefault(room.category, []).append(f"`{room.name}`")
    rows = [f"| {category} | {', '.join(members)} |" for category, members in names.items()]
    return "\n".join(["| about | experiments |\n|---|---|", *rows, ""])


def questions() -> str:
    """Return the list in docs/experiments.md: the question of every experiment."""
    rows = [f"| `{room.name}` | {room.question} |" for room in rooms().values()]
    return "\n".join(["| experiment | question |\n|---|---|", *rows, ""])


LISTS = {"README.md": categories, "docs/experiments.md": questions}


def fresh(page: str, text: str) -> str:
    """Return the text of a page of `LISTS` with its list of experiments as it should be."""
    made = BEGIN + LISTS[page]() + END
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: made, text, flags=re.S)


def main() -> None:
    """Write all of them."""
    (ROOT / "docs/tables.md").write_text(tables_page(), encoding="utf-8")
    for page in LISTS:
        path = ROOT / page
        path.write_text(fresh(page, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
