"""The pages of the site that do not lie in this folder as they are read: `mkdocs build` calls these hooks.

The README, CONTRIBUTING and the notebook are pages too, and the reference is made from the names of the library.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import onebasin

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = "examples/two_networks.ipynb"
PLACES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", NOTEBOOK: "two_networks.md"}
FILE = re.compile(r"\[[\w./-]+\.(?:md|ipynb)\](?=\(([^)#]+))")
PICTURE = "\n![Error on the line between the two networks](../docs/two_networks.png)\n"
REFERENCE = """# Reference

*You know the name of a function, and want to know what it takes and returns.* [The library](library.md) shows how they
are used together.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for source, place in PLACES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=notebook(text) if source == NOTEBOOK else text))
    files.append(File.generated(config, "reference.md", content=reference()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Leave out what the sources of numbers say, and turn links between files into links between pages.

    Where the text of a link is the file itself it becomes the title of the page, but not in tables, which list files.
    """
    place = page.file.src_uri
    sources = {of: source for source, of in PLACES.items()}
    folder = os.path.dirname(sources.get(place, f"docs/{place}"))

    def link(found: re.Match[str]) -> str:
        source = os.path.normpath(os.path.join(folder, found[1]))
        target = PLACES.get(source) or os.path.relpath(source, "docs")
        return f"]({os.path.relpath(target, os.path.dirname(place))}{found[2]})"

    def titled(found: re.Match[str]) -> str:
        return f"[{title(os.path.normpath(os.path.join(folder, found[1])))}]"

    shown = re.sub(r"<!--.*?-->\n", "", markdown, flags=re.S)
    lines = (line if line.startswith("|") else FILE.sub(titled, line) for line in shown.split("\n"))
    shown = "\n".join(lines)
    return re.sub(r"\]\((?!https?:|#)([^)#]+)(#[^)]*|)\)", link, shown)


def title(source: str) -> str:
    """Return the title of the page that a file becomes."""
    text = (ROOT / source).read_text(encoding="utf-8")
    return (notebook(text) if source == NOTEBOOK else text).removeprefix("# ").partition("\n")[0]


def notebook(text: str) -> str:
    """Return a notebook as a page, with the picture that it draws."""
    page = ""
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        page += f"{source}\n\n" if cell["cell_type"] == "markdown" else f"```python\n{source}\n```\n\n"
        page += PICTURE if "onebasin.plot" in source else ""
    return page


def reference() -> str:
    """Return the page on which every public name has its docstring."""
    return REFERENCE + names("onebasin", onebasin, 2)


def names(path: str, module: ModuleType, level: int) -> str:
    """Return what asks for the docstrings of the public names of a module, and of its modules behind them."""
    text, modules = "", ""
    for name in public(module):
        inner, value = f"{path}.{name}", getattr(module, name)
        if inspect.ismodule(value):
            modules += f"\n::: {inner}\n    options:\n      members: false\n" + names(inner, value, 3)
        else:
            # A function may have the name of the module in which it lies.
            target = f"{inner}.{name}" if inner in sys.modules else inner
            text += f"\n::: {target}\n    options:\n      heading: {inner}\n      heading_level: {level}\n"
    return text + modules


def public(module: ModuleType) -> list[str]:
    """Return the names that a module declares public, or else those of its functions and classes."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return getattr(module, "__all__", [name for name in own if not name.startswith("_")])
