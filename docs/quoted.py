"""Numbers that the pages quote: where they come from, whether they are right, and how they are written anew.

    python docs/quoted.py                             # checks the pages against docs/<study>/tables
    python docs/quoted.py results/digits              # checks them against the tables of a run
    python docs/quoted.py --write [results/digits]    # writes the numbers, and the summaries of the run before

A paragraph or table that quotes measurements stands right behind a comment with lines of Python:

    <!-- numbers:
    width.barrier(model="mlp", width=[16, 32], claim="weak", method="weights")
    -->
    Barriers are .48 and .27 at widths 16 and 32.

Their values are the decimals and percentages of the paragraph, in order. TABLE.COLUMN(key=value, …) is the number in
the row of the summary with these keys; a list stands for one row each. A name that a line assigns serves to the end of
the page. The value of an expression may be

- a number or an array of them, written as `number` does, or otherwise by `places` and `percent`;
- a text that `table` makes: the table is then written whole;
- true or false: what the words of the paragraph say holds, or does not and somebody has to write another sentence; a
  comment of Python quotes the words.

Behind `<!-- by hand: why -->` stands a paragraph or table whose numbers come from elsewhere.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import summaries
from claims import claims

from onebasin import prose
from onebasin.prose import number

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "digits",
    "docs/results.md": "digits",
    "docs/experiments.md": "digits",
    "docs/strong-connectivity.md": "strong",
    "docs/neighbours.md": "neighbours",
    "docs/evidence/digits-ten/README.md": "evidence/digits-ten",
    "docs/evidence/digits-exchanges/README.md": "evidence/digits-exchanges",
    "docs/evidence/mnist-ten/README.md": "evidence/mnist-ten",
    "docs/evidence/mnist-512/README.md": "evidence/mnist-512",
}  # and their studies
DEFAULTS = {"split": "train", "over": "mean"}

# What looks like a measurement and is none, on any page.
EXCEPTIONS = {
    r"(?<!\d)\.02(?!\d)": "the threshold",
    r"95\s%\sinterval": "the level of intervals",
    r"Python\s3\.\d+|PyTorch\s2\.\d+": "a version",
    r"arXiv\s\d{4}\.\d+": "a paper",
}
# Code, targets of links and exceptions are passed over.
TOKEN = re.compile(
    rf"`(?:[^`\n]|\n(?!\n))*`|\]\([^)]*\)|{'|'.join(EXCEPTIONS)}"
    r"|(?P<number>(?<![\w.,])-?\d*\.\d+|(?<![\w.,])\d+(?=\s(?:to\s\d+\s)?%))"
)
LINES = r"(?:[^\n]*\S[^\n]*\n)*"  # to the next empty line
BLOCK = re.compile(rf"<!-- numbers:(?P<source>.*?)-->\n(?P<body>{LINES})", re.S)
ELSEWHERE = re.compile(rf"<!-- by hand: .*?-->\n{LINES}|<!--.*?-->|^ {{4}}.*?$", re.S | re.M)


Summaries = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Problem:
    """What is wrong at a line of a page, and whether writing the numbers anew has put it right."""

    line: int
    message: str
    written: bool = False


class Table:
    """A summary: TABLE.COLUMN(key=value, …) gives numbers of it."""

    def __init__(self, name: str, rows: pd.DataFrame) -> None:
        """Keep the rows of the summary of this name."""
        self._name, self._rows = name, rows

    def __getattr__(self, column: str) -> Callable[..., np.ndarray]:
        """Return the function that gives numbers of a column."""
        if column not in self._rows:
            raise AttributeError(f"{self._name} has no column {column}; it has {', '.join(map(str, self._rows))}")
        return partial(self._numbers, column)

    def _numbers(self, column: str, **keys: Any) -> np.ndarray:
        keys = {**{key: value for key, value in DEFAULTS.items() if key in self._rows}, **keys}
        choices = [value if isinstance(value, list) else [value] for value in keys.values()]
        chosen = [dict(zip(keys, choice, strict=True)) for choice in itertools.product(*choices)]
        return np.array([self._one(column, choice) for choice in chosen])

    def _one(self, column: str, keys: Mapping[str, Any]) -> float:
        rows = self._rows
        for key, value in keys.items():
            rows = rows[rows[key] == value]
        if len(rows) != 1:
            raise LookupError(f"{len(rows)} rows of {self._name} have {keys}, where one is meant")
        return float(rows[column].iloc[0])


def places(values: Any, count: int) -> list[str]:
    """Write numbers with so many decimals (see ``prose.places``)."""
    return [prose.places(value, count) for value in np.ravel(values)]


def percent(values: Any) -> list[str]:
    """Write shares as whole percentages."""
    return [f"{100 * value:.0f}" for value in np.ravel(values)]


def span(values: Any) -> np.ndarray:
    """Return the least and the greatest of some numbers."""
    return np.array([np.min(values), np.max(values)])


def networks(*names: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a table for networks such as "mlp 16"."""
    return {name: {"model": name.split()[0], "width": int(name.split()[1])} for name in names}


def weak(method: str) -> dict[str, str]:
    """Return the keys of a weak barrier."""
    return {"claim": "weak", "method": method}


def strong(method: str) -> dict[str, str]:
    """Return the keys of a strong barrier."""
    return {"claim": "strong", "method": method}


def each(cell: Callable[..., Any], rows: Mapping[str, Any], **keys: Any) -> np.ndarray:
    """Return the numbers of all networks that `networks` gives, or of other rows."""
    return np.concatenate([cell(**row, **keys) for row in rows.values()])


def falls(values: Any) -> bool:
    """Return whether each number is below the one before."""
    return bool((np.diff(values) < 0).all())


def below(values: Any, others: Any) -> bool:
    """Return whether each number is below the other one, or below the only other one."""
    return bool((np.asarray(values) < others).all())


def table(corner: str, rows: Mapping[str, Any], columns: Mapping[str, Any], cell: Any = None) -> str:
    """Make a table.

    Args:
        corner: the head of the first column.
        rows: the keys of each row, by what it is called.
        columns: the keys of each column, by its head; or what gives its cells from the keys of their rows.
        cell: what gives the other cells from the keys of their row and column.
    """
    lines = [[corner, *columns], ["---"] * (1 + len(columns))]
    for name, row in rows.items():
        values = [column(**row) if callable(column) else cell(**row, **column) for column in columns.values()]
        lines.append([name, *(" / ".join(_texts(value)) for value in values)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace(" --- ", "---")


def exponent(scaling: Table, **keys: Any) -> str:
    """Write the exponent of a law with its interval."""
    low, high = (number(getattr(scaling, f"beta_{end}")(**keys)[0]) for end in ("low", "high"))
    return f"{number(scaling.beta(**keys)[0])} [{low}, {high}]"


def crossing(scaling: Table, **keys: Any) -> str:
    """Write where a law falls under the threshold: with two digits, its interval, and a star beyond the widths."""
    at, low, high = (getattr(scaling, f"crossing{end}")(**keys)[0] for end in ("", "_low", "_high"))
    return prose.width_of(at, low, high) + "*" * bool(at > scaling.widest(**keys)[0])


def difference(differences: Table, remaining: str = "+", **keys: Any) -> str:
    """Write a difference with its interval, and a mark where Holm's correction leaves it."""
    value, low, high = (places(getattr(differences, name)(**keys), 2)[0] for name in ("difference", "low", "high"))
    return f"{value} [{low}, {high}]{remaining if differences.remains(**keys)[0] else ''}"


def bounded(table: Table, column: str, **keys: Any) -> list[str]:
    """Return a number with its interval, as three numbers of two decimals."""
    return [places(getattr(table, name)(**keys), 2)[0] for name in (column, f"{column}_low", f"{column}_high")]


def names(page: str, fresh: Mapping[str, Summaries] | None = None) -> dict[str, Any]:
    """Return what the expressions of a page may use: tables of its study, others by `study`, and the functions above.

    Args:
        page: its path from the root of the repository.
        fresh: summaries of a run, by its study, that take the place of those that are kept.
    """

    def tables(study: str) -> dict[str, Table]:
        found = {**summaries.read(ROOT / f"docs/{study}/tables"), **(fresh or {}).get(study, {})}
        return {name: Table(name, rows) for name, rows in found.items()}

    functions = (
        places, number, percent, span, networks, weak, strong, each, falls, below, table, exponent, crossing,
        difference, bounded, claims,
    )  # fmt: skip
    known = {function.__name__: function for function in functions}
    return {"np": np, **known, "study": lambda name: SimpleNamespace(**tables(name)), **tables(PAGES[page])}


def fill(text: str, known: dict[str, Any]) -> tuple[str, list[Problem]]:
    """Return a page with the numbers as they should be, and what was wrong.

    Args:
        text: the page.
        known: what its expressions may use, and, afterwards, what they have named.
    """
    problems: list[Problem] = []

    def block(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.start("body")) + 1
        body, found = _fill_block(match["source"], match["body"], line, known)
        problems.extend(found)
        return text[match.start() : match.start("body")] + body

    filled = BLOCK.sub(block, text)
    rest = ELSEWHERE.sub(_blank, BLOCK.sub(_blank, text))
    for token in _tokens(rest):
        line = rest.count("\n", 0, token.start()) + 1
        problems.append(Problem(line, f"{token['number']} has no source: put it behind `<!-- numbers: … -->`"))
    return filled, sorted(problems, key=lambda problem: problem.line)


def main(arguments: list[str] | None = None) -> int:
    """Check or write all pages, and say what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", nargs="?", type=Path, help="folder of a study, such as results/digits")
    parser.add_argument("--write", action="store_true", help="write the numbers into the pages")
    given = parser.parse_args(arguments)
    fresh = {}
    if given.results:
        name = given.results.resolve().name
        study = next((study for study in PAGES.values() if Path(study).name == name), name)
        fresh = {study: summaries.summarise_study(given.results)}
        if not all(fresh.values()):
            parser.error(f"{given.results} has no tables")
    if given.write:
        for study, found in fresh.items():
            summaries.write(ROOT / f"docs/{study}/tables", found)
    left = 0
    for page in PAGES:
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        filled, problems = fill(text, names(page, fresh))
        if given.write and filled != text:
            path.write_text(filled, encoding="utf-8")
        for problem in problems:
            written = given.write and problem.written
            left += not written
            print(f"{page}:{problem.line}: {problem.message}{' (written)' if written else ''}")
    return int(left > 0)


def _texts(value: Any) -> list[str]:
    """Return a value, which may be text already, as it is written."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    return [number(part) for part in np.ravel(value)]


def _evaluate(source: str, known: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each expression of a comment with its value."""
    source = source.strip()
    for statement in ast.parse(source).body:
        code = ast.get_source_segment(source, statement) or ""
        if isinstance(statement, ast.Expr):
            yield " ".join(code.split()), eval(f"({code})", known)
        else:
            exec(code, known)


def _fill_block(source: str, body: str, line: int, known: dict[str, Any]) -> tuple[str, list[Problem]]:
    """Return a paragraph or table as it should be, and what was wrong; `line` is its first one."""
    wanted: list[tuple[str, str]] = []
    problems = []
    try:
        for expression, value in _evaluate(source, known):
            if np.asarray(value).dtype == bool:
                if not np.all(value):
                    problems.append(Problem(line, f"no longer holds, write another sentence: {expression}"))
            elif isinstance(value, str) and value.startswith("|"):
                return value, _compare(body, value, line)
            else:
                # What is written like an exception is none of the numbers of the paragraph.
                texts = [text for text in _texts(value) if not any(re.fullmatch(other, text) for other in EXCEPTIONS)]
                wanted += [(text, expression) for text in texts]
    except Exception as error:  # whatever an expression raises, the reader needs the line
        return body, [Problem(line, f"{type(error).__name__}: {error}")]
    tokens = list(_tokens(body))
    if len(tokens) != len(wanted):
        there, given = ", ".join(token["number"] for token in tokens), ", ".join(text for text, _ in wanted)
        message = f"the paragraph has {len(tokens)} numbers ({there}), its comment {len(wanted)} ({given})"
        return body, [*problems, Problem(line, message)]
    parts, end = [], 0
    for token, (text, expression) in zip(tokens, wanted, strict=True):
        parts += [body[end : token.start()], text]
        end = token.end()
        if token["number"] != text:
            at = line + body.count("\n", 0, token.start())
            problems.append(Problem(at, f"{token['number']}, the tables say {text}: {expression}", written=True))
    return "".join([*parts, body[end:]]), problems


def _compare(body: str, table: str, line: int) -> list[Problem]:
    """Return in which lines a table is not what it should be; `line` is its first one."""
    pairs = itertools.zip_longest(body.splitlines(), table.splitlines(), fillvalue="nothing")
    return [
        Problem(line + place, f"{there}, the tables say {wanted}", written=True)
        for place, (there, wanted) in enumerate(pairs)
        if there != wanted
    ]


def _tokens(text: str) -> Iterator[re.Match[str]]:
    return (match for match in TOKEN.finditer(text) if match["number"])


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


if __name__ == "__main__":
    sys.exit(main())
