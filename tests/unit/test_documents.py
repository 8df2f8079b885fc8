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


def test_the_tables_page_and_the_list_in_the_readme_are_fresh(generate):
    readme = (ROOT / "README.md").read_text()
    assert (ROOT / "docs/tables.md").read_text() == generate.tables_page(), "run: make docs"
    assert readme == generate.readme(readme), "run: make docs"
    assert generate.BEGIN + generate.list_of_experiments() + generate.END in readme


def test_a_stale_list_is_made_again(generate):
    readme = (ROOT / "README.md").read_text()
    stale = readme.replace("| `width` |", "| `breadth` |")
    assert stale != readme and generate.readme(stale) == readme


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
