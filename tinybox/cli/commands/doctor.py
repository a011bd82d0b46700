"""`tinybox doctor`: print one line for each fact about this host, with verdict and cure; --fix removes leftovers."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from typing import TYPE_CHECKING

import click

from tinybox.cli.late import Late
from tinybox.container.records.paths import Paths
from tinybox.doctor.finding import NOTE, OK, PROBLEM, Finding
from tinybox.errors import HostError, printable
from tinybox.wrapping import columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.doctor import examination
else:
    examination = Late("tinybox.doctor.examination")

WIDTH = columns()  # read once, when the command begins
COLOURS = {OK: "green", NOTE: "yellow", PROBLEM: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the facts as one JSON array of objects.")
@click.option("--fix", is_flag=True, help="Remove the leftovers of dead containers first, and nothing else.")
def doctor(*, as_json: bool, fix: bool) -> int:
    """Check whether this host can run containers. The exit status is 1 if it cannot."""
    try:
        paths = Paths()
    except HostError as error:  # the store is not trusted: it must not be touched, not even for a check
        return print_findings(
            [Finding("store", PROBLEM, f"{error.thing} {error.cause}", error.cure)],
            as_json=as_json,
        )
    if fix:
        from tinybox.doctor import leftovers

        for line in leftovers.remove(paths):
            click.echo(printable(f"removed: {line}"), err=as_json)
    return print_findings(examination.examine(paths), as_json=as_json)


def print_findings(found: Iterable[Finding], *, as_json: bool) -> int:
    """Print each finding as soon as its check has ended, or all as JSON; return the exit status."""
    findings = []
    for finding in found:
        findings.append(finding)
        if not as_json:
            click.echo(shown(finding), color=None if os.environ.get("NO_COLOR") is None else False)
    if as_json:
        json.dump([finding._asdict() for finding in findings], sys.stdout, indent=2)
        print()
    return int(any(finding.verdict == PROBLEM for finding in findings))


def shown(finding: Finding) -> str:
    """Return the text of one finding: its line, and the cure on the next line; wrapped at WIDTH."""
    head = f"{click.style(f'{finding.verdict:8}', fg=COLOURS[finding.verdict])}{finding.fact:18}"
    margin = " " * 26
    lines = textwrap.wrap(printable(finding.found), WIDTH - len(margin), break_on_hyphens=False) or [""]
    cure = (
        textwrap.wrap(printable(f"-> {finding.cure}"), WIDTH - len(margin), break_on_hyphens=False)
        if finding.cure
        else []
    )
    return f"\n{margin}".join([f"{head}{lines[0]}", *lines[1:], *cure])
