"""The site builds without a warning, has every public name with its docstring, and loads nothing from elsewhere."""

import html
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import onebasin

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def shown(page):
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", page)).split())


def public(path, module):
    for name in getattr(module, "__all__", ()):
        yield f"{path}.{name}"
        if inspect.ismodule(getattr(module, name)):
            yield from public(f"{path}.{name}", getattr(module, name))


def test_every_public_name_has_its_docstring(site):
    text = (site / "reference/index.html").read_text(encoding="utf-8")
    _, *parts = re.split(r'<h[23] id="[^"]+" class="doc doc-heading">(.*?)</h[23]>', text, flags=re.S)
    said = {shown(name).split()[0]: body for name, body in zip(parts[::2], parts[1::2], strict=True)}
    names = set(public("onebasin", onebasin))
    assert {"onebasin.align", "onebasin.match.sinkhorn", "onebasin.train.Settings"} < names <= said.keys()
    for name in names:
        contents = said[name].partition('<div class="doc doc-contents')[2]
        assert re.search(r"<p>\S", contents), f"{name} has no docstring"


def test_sources_of_numbers_are_not_shown(site):
    source = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "<!-- numbers:" in source and "lambda" in source
    assert "lambda" not in (site / "index.html").read_text(encoding="utf-8")


def test_links_between_files_are_links_between_pages(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="results/"' in text and 'src="digits/width.png"' in text
    contributing = (site / "contributing/index.html").read_text(encoding="utf-8")
    assert '<a href="../own/">Your own models, networks and data</a>' in contributing
    assert '<a href="results/">What the studies show</a>' in text and '<a href="results/">docs/results.md</a>' in text
    checkpoints = (site / "checkpoints/index.html").read_text(encoding="utf-8")
    assert '<a href="../two_networks/">Two networks, from two checkpoints to a picture</a>' in checkpoints


def test_nothing_is_loaded_from_elsewhere_and_only_pages_and_pictures_are_published(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link)\b[^>]*(?:src|href)="(https?:[^"]*)"', page.read_text("utf-8"))
        assert not loaded, page
    assert not [path for path in site.rglob("*") if path.suffix in {".py", ".csv", ".yaml", ".md"}]
