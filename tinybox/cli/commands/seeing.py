"""`tinybox replay` and `tinybox explain`: show a recorded run again, and explain a step; no container is made."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import click

from tinybox.cli.late import Late

if TYPE_CHECKING:
    from tinybox.seeing import book, keyboard, page, text
    from tinybox.seeing import replay as replaying
else:
    book = Late("tinybox.seeing.book")
    keyboard = Late("tinybox.seeing.keyboard")
    page = Late("tinybox.seeing.page")
    replaying = Late("tinybox.seeing.replay")
    text = Late("tinybox.seeing.text")


@click.command()
@click.argument("trace", type=click.Path(readable=False))  # no access(2): open(2) reports the error
@click.option("--step", is_flag=True, help="Stop before each step; a key continues")
@click.option("--key-steps", is_flag=True, help="Show, or with --step stop at, only the steps that matter most")
@click.option("--html", metavar="FILE", help="Write the HTML page of the run to FILE, as --explain=html does")
def replay(trace: str, step: bool, key_steps: bool, html: str | None) -> int:
    """Show a run again from TRACE, written by `run --explain=json -o TRACE`; it needs no root, and runs nothing."""
    if html:
        with open(html, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            replaying.Replay(page.Page(out.write).show).run(replaying.read(trace))
        return 0
    with contextlib.ExitStack() as stack:
        keys = None
        if step:
            keyboard.check("--step")
            keys = stack.enter_context(keyboard.Keyboard())
        shown = text.Text(_write, colour=text.colours(1), key_steps=key_steps)
        whole = replaying.Replay(shown.show, keys, key_steps=key_steps).run(replaying.read(trace))
    return 0 if whole else 130


@click.command()
@click.argument("step", required=False)
def explain(step: str | None) -> None:
    """Explain STEP, which is the name of a step or of a manual page; without STEP, list the steps.

    The text describes what the kernel does, the system call, its place in the code, and what happens without it.
    """
    lines = book.pages(step) if step else book.table()
    click.echo("\n".join(lines))


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
