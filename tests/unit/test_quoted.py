"""Numbers that pages quote come from the summaries of a study, and whoever changes one is told what the tables say."""

import re

import numpy as np
import pandas as pd
import pytest
import quoted
import summaries

from onebasin import statistics, tables

WIDTH = {"width": pd.DataFrame({"method": ["weights", "activations"], "split": "train", "barrier": [0.175, 0.0197]})}
PAGE = """# Page

<!-- numbers:
width.barrier(method="weights")
width.barrier(method="activations")
percent(0.431)
-->
Weight matching leaves .18, activation matching .0197 (`barrier: 0.5`, under .02), which is
43 % ([a paper](https://arxiv.org/abs/2211.08403)).

    .5 is code

<!-- by hand: a run of its own -->
Another run left .33.
"""


@pytest.fixture
def known(monkeypatch, tmp_path):
    """What expressions may use where docs/digits/tables has one small summary."""
    summaries.write(tmp_path / "docs/digits/tables", WIDTH)
    monkeypatch.setattr(quoted, "ROOT", tmp_path)
    return lambda: quoted.names("docs/results.md")


@pytest.mark.parametrize("page", quoted.PAGES)
def test_the_pages_say_what_the_summaries_say(page):
    text = (quoted.ROOT / page).read_text(encoding="utf-8")
    filled, problems = quoted.fill(text, quoted.names(page))
    assert [f"{page}:{problem.line}: {problem.message}" for problem in problems] == [], "run: python docs/quoted.py"
    assert filled == text


def test_a_right_page_has_no_problem(known):
    assert quoted.fill(PAGE, known()) == (PAGE, [])


@pytest.mark.parametrize(("right", "wrong", "line"), [(" .18", " .17", 8), (".0197", ".020", 8), ("43 %", "44 %", 9)])
def test_a_wrong_number_is_named_and_written(known, right, wrong, line):
    filled, (problem,) = quoted.fill(PAGE.replace(right, wrong), known())
    assert filled == PAGE
    assert (problem.line, problem.written) == (line, True)
    assert problem.message.startswith(f"{wrong.strip(' %')}, the tables say {right.strip(' %')}: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("leaves .18", "leaves", r"the paragraph has 2 numbers \(.0197, 43\), its comment 3 \(.18, .0197, 43\)"),
        ("# Page\n", "# Page\n\nA barrier of .12.\n", ".12 has no source"),
        ("# Page\n", "# Page\n\nIt falls by 12 to 14 %.\n", "12 has no source"),
        ("<!-- by hand: a run of its own -->\n", "", ".33 has no source"),
        (
            "percent(0.431)",
            "percent(0.431)\nfalls([1, 2])",
            r"no longer holds, write another sentence: falls\(\[1, 2\]\)",
        ),
        ('"weights"', '"wights"', "LookupError: 0 rows of width have {'split': 'train', 'method': 'wights'}"),
        ("width.barrier", "width.barier", "AttributeError: width has no column barier"),
    ],
)
def test_what_only_a_person_can_put_right_is_named_and_left(known, old, new, message):
    page = PAGE.replace(old, new, 1)
    filled, problems = quoted.fill(page, known())
    assert filled == page and not problems[0].written
    assert pd.Series([problem.message for problem in problems]).str.match(message).any()


def test_tables_are_written_whole(known):
    source = '<!-- numbers:\ntable("method", {m: {"method": m} for m in ("weights", "activations")}, {"barrier": {}}, '
    page = source + "width.barrier)\n-->\n| method |\n|---|\n| activations | .3 |\n\nText.\n"
    filled, problems = quoted.fill(page, known())
    assert filled.endswith("| method | barrier |\n|---|---|\n| weights | .18 |\n| activations | .0197 |\n\nText.\n")
    assert all(problem.written for problem in problems) and len(problems) == 4
    assert quoted.fill(filled, known()) == (filled, [])


def test_no_number_is_rounded_onto_the_threshold():
    written = [quoted.number(value) for value in (0.48, 0.405, 0.0217, 0.0197, 0.02, 0.019999, -0.0903, 0, 1.694)]
    assert written == [".48", ".41", ".022", ".0197", ".020", ".019999", "-.09", ".000", "1.69"]


def test_every_exception_is_needed_on_some_page():
    text = "".join((quoted.ROOT / page).read_text(encoding="utf-8") for page in quoted.PAGES)
    assert all(re.search(pattern, text) for pattern in quoted.EXCEPTIONS)


def test_one_command_turns_a_study_into_the_text_of_today(known, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quoted, "PAGES", {"docs/results.md": "digits"})
    columns = {"model": "mlp", "width": 16, "method": "weights", "algorithm": "weights", "compared": "weights"}
    ends = {"claim": "weak", "reference": None, "alpha": 0.5, "end_a": 0.0, "end_b": 0.0, "split": "train"}
    pairs = {(0, 1): 0.1, (0, 2): 0.3, (1, 2): 0.35}
    rows = [
        {**columns, **ends, "a": a, "b": b, "metric": metric, "barrier": barrier}
        for metric in ("loss", "error")
        for (a, b), barrier in pairs.items()
    ]
    tables.write(tmp_path / "results/digits/tables/width.csv", "width", rows)
    page = tmp_path / "docs/results.md"
    page.write_text('<!-- numbers: width.barrier(method="weights") -->\nIt is .18.\n')
    arguments = [str(tmp_path / "results/digits")]

    assert quoted.main(arguments) == 1
    assert capsys.readouterr().out.startswith("docs/results.md:2: .18, the tables say .25: width.barrier")
    assert quoted.main([]) == 0 and ".18" in page.read_text()
    assert quoted.main(["--write", *arguments]) == 0
    assert page.read_text().endswith("It is .25.\n")
    assert quoted.main([]) == 0

    kept = summaries.read(tmp_path / "docs/digits/tables")["width"].iloc[0]
    low, high = statistics.interval(np.array(list(pairs.values())), np.array(list(pairs)), barriers=True)
    assert kept["rows"] == 3
    told = [kept[name] for name in ("barrier", "barrier_low", "barrier_high")]
    assert told == pytest.approx([0.25, low, min(high, 1)], rel=1e-5)
