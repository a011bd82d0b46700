"""Commands that look at a run without making one: replay a trace, and explain a step."""

from __future__ import annotations

import contextlib
import os
import sys

import click

from tinybox.seeing import book, keyboard
from tinybox.seeing.page import Page
from tinybox.seeing.replay import Replay, read
from tinybox.seeing.text import Text, colours


@click.command()
@click.argument("trace", type=click.Path(readable=False))  # open(2) knows better than access(2)
@click.option("--step", is_flag=True, help="Stop before each step, and go on by a key")
@click.option("--html", metavar="FILE", help="Write the page of it to FILE, as --explain=html does")
def replay(trace: str, step: bool, html: str | None) -> int:
    """Show a run again from TRACE, which `run --explain=json -o TRACE` has written; needs no root, and does nothing."""
    if html:
        with open(html, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            Replay(Page(out.write).show).run(read(trace))
        return 0
    with contextlib.ExitStack() as stack:
        board = None
        if step:
            keyboard.check("--step")
            board = stack.enter_context(keyboard.Keyboard())
        whole = Replay(Text(_write, colour=colours(1)).show, board).run(read(trace))
    return 0 if whole else 130


@click.command()
@click.argument("step", required=False)
def explain(step: str | None) -> None:
    """Show the page of the book for STEP, by its name or its manual page; without one, list the steps.

    The page says what the kernel does, the call, where it stands in the code, and what happens without it.
    """
    lines = book.pages(step) if step else book.table()
    click.echo("\n".join(lines))


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
