"""The documents say what the code says: what is made by `make docs` is fresh, links lead somewhere, pages are short."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/evidence/*/*.md")])


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_page_is_fresh(generate):
    assert (ROOT / "docs/tables.md").read_text() == generate.tables_page(), "run: make docs"


@pytest.mark.parametrize("page", ["README.md", "docs/experiments.md"])
def test_lists_of_experiments_are_fresh_and_stale_ones_made_again(generate, page):
    text = (ROOT / page).read_text()
    assert text == generate.fresh(page, text), "run: make docs"
    assert generate.BEGIN + generate.LISTS[page]() + generate.END in text
    begin = text.index(generate.BEGIN)
    stale = text[:begin] + text[begin:].replace("`width`", "`breadth`", 1)
    assert stale != text and generate.fresh(page, stale) == text


def test_the_readme_is_short():
    shown = re.sub(r"<!--.*?-->\n", "", (ROOT / "README.md").read_text(), flags=re.S)
    assert len(shown.splitlines()) <= 160


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    text = page.read_text()
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_a_page_begins_with_what_its_reader_wants(page):
    if page.name != "torchvision_models.md":
        assert re.match(r"# .+\n\n\*You ", page.read_text())
