"""``onebasin diagnose`` says in sentences why two networks do or do not connect."""

from __future__ import annotations

import argparse
import textwrap

from onebasin.commands import arguments, progress


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser(
        "diagnose",
        help="say why two networks do or do not connect",
        description="Look at what can keep two networks apart; say what was found, in numbers, and what to try next.",
        epilog="example: onebasin diagnose own_net:build width=64 a.pt b.pt --data own_data.pt",
    )
    arguments.add_networks(command, "two files")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Print one finding after another."""
    from dataclasses import asdict

    from onebasin.networks import diagnose

    found = []
    with progress.shown():
        brought = arguments.networks(given, most=2)
        first, second = brought.states
        for finding in diagnose(brought.model, first, second, brought.train, brought.test):
            found.append(finding)
            if not given.json:
                print(textwrap.fill(f"{finding.name}: {finding.sentence}", 100, subsequent_indent="    "), flush=True)
    if given.json:
        arguments.show(given, {"findings": [asdict(finding) for finding in found]}, "")
