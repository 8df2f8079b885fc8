"""Config files as they are written: what YAML loses, or reads otherwise than it looks, is one line that says where.

`profiles/default` has them looked at before Snakemake reads them, which says little of a file that is no YAML.
`python -m workflow.config_files FILE` looks at a file by itself.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import yaml

from workflow.validation import LOADER, refuse

# A key and a value without a blank between them; not a path of Windows, nor an address.
COLON = re.compile(r"[A-Za-z_]\w*:(?=[^\s:/\\])")


def check(path: str | Path) -> None:
    """Refuse a file that is no YAML, has a key twice, or values that YAML reads otherwise than they look.

    Args:
        path: the file, as messages call it.
    """
    text = _text(path)
    try:
        root = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse_syntax(path, text, mark.line if mark else 0, str(error.problem))
    except yaml.reader.ReaderError as error:
        _refuse_syntax(path, text, text.count("\n", 0, error.position), error.reason)
    if not isinstance(root, yaml.MappingNode):
        refuse(f"{path}", "it has no keys. Allowed: lines such as study: mine")
    _check_node(path, root)


def check_named(arguments: Sequence[str]) -> None:
    """Check the config files that a command line names.

    Args:
        arguments: of Snakemake.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="extend", default=[])
    for path in parser.parse_known_args(arguments)[0].configfile:
        check(path)


def _text(path: str | Path) -> str:
    try:
        content = Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        refuse(f"{path}", f"{error.strerror}. Allowed: a file that can be read")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        refuse(f"{path}:{line}", f"a byte {content[error.start]:#x} is no UTF-8. Allowed: a file saved as UTF-8")
    try:
        json.loads(text)
    except ValueError:
        return text
    return text.expandtabs()  # which JSON allows, and YAML does not


def _refuse_syntax(path: str | Path, text: str, line: int, problem: str) -> NoReturn:
    """Say where a file is no YAML, and look for a missing blank before that place, which YAML finds late."""
    lines = text.splitlines()[: line + 1]
    for number in range(len(lines), 0, -1):
        if found := re.match(rf"\s*(?:- |{{)?\s*({COLON.pattern})", lines[number - 1]):
            refuse(f"{path}:{number}", f"a blank is missing after {found[1]!r}. Allowed: {found[1]} and then a value")
    refuse(f"{path}:{line + 1}", f"it is no YAML here, {problem}. Allowed: YAML, indented by blanks and not by tabs")


def _check_node(path: str | Path, node: yaml.Node) -> None:
    if node.tag not in LOADER.yaml_constructors:
        refuse(f"{path}:{node.start_mark.line + 1}", f"the tag {node.tag!r} is unknown. Allowed: values without a tag")
    if isinstance(node, yaml.MappingNode):
        before: dict[str, int] = {}
        for name, value in node.value:
            line = name.start_mark.line + 1
            if isinstance(name, yaml.ScalarNode):
                if name.value in before:
                    first = before[name.value]
                    refuse(f"{path}:{line}", f"{name.value!r} is given twice, first in line {first}. Allowed: once")
                before[name.value] = line
                if value.value == "":
                    _check_colon(path, name)
            if value.start_mark.line >= line:
                _check_colon(path, value)
            _check_node(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_colon(path, item)
            _check_node(path, item)
    elif isinstance(node, yaml.ScalarNode) and not node.style:
        _check_plain(path, node)


def _check_colon(path: str | Path, node: yaml.Node) -> None:
    if isinstance(node, yaml.ScalarNode) and not node.style and (found := COLON.match(node.value)):
        refuse(
            f"{path}:{node.start_mark.line + 1}",
            f"a blank is missing after {found[0]!r}. Allowed: {found[0]} {node.value[found.end() :]}, or all in quotes",
        )


def _check_plain(path: str | Path, node: yaml.ScalarNode) -> None:
    """Refuse numbers of other bases that look decimal, and dates."""
    where, text, kind = f"{path}:{node.start_mark.line + 1}", node.value, node.tag.rpartition(":")[2]
    if kind in ("int", "float") and ":" in text:
        value = yaml.load(text, LOADER)
        refuse(where, f"{text} is read as {value}, in sixties. Allowed: {value}, or {text!r} in quotes for text")
    if kind == "int" and re.fullmatch(r"[-+]?0[0-7_]+", text):
        decimal = re.sub(r"^([-+]?)[0_]+(?=\d)", r"\1", text)
        refuse(where, f"{text} is read as {yaml.load(text, LOADER)}, in eights. Allowed: {decimal}, if this is meant")
    if kind == "timestamp":
        refuse(where, f"{text} is read as a date. Allowed: {text!r} in quotes for text")


if __name__ == "__main__":
    for file in sys.argv[1:]:
        check(file)
