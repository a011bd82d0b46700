"""`pull --explain`, `push --explain` and `build --explain`: the options, and the trace that they ask for."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tinybox.cli.written_options import MaybeOption, plain
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tinybox.images.reference import Reference
    from tinybox.images.registry.layers import Report
    from tinybox.seeing.registry_trace import Trace

    Show = Callable[[dict[str, Any]], object]

FORMS = ("text", "json", "html")
BUILD = "build"  # the subject of `build --explain`


class Explaining(NamedTuple):
    """The values of --explain and --output: a *form* or "", and a file or "" for stderr."""

    form: str
    output: str

    def check(self) -> None:
        """Raise UsageError for a form that there is not, and for a page without a file."""
        if self.form and self.form not in FORMS:
            raise UsageError(f"--explain={self.form}", "no such form", ", ".join(FORMS))
        if self.form == "html" and not self.output:
            raise UsageError("--explain=html", "a page needs a file to be written to", "-o FILE")
        if self.output and not self.form:
            raise UsageError("--output", "is the file of --explain", "--explain -o FILE")


NOTHING = Explaining("", "")


class ExplainOption(MaybeOption):
    """The option --explain, whose value is optional: ``--explain NAME`` is ``--explain=text NAME``."""

    without = "text"


class ExplainedCommand(click.Command):
    """A command with --explain; it reads docker's ways of writing options in any context."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args* with click, after `plain` has rewritten them."""
        return super().parse_args(ctx, plain(self, args))


def explain_options(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options --explain, which shows *what*, and -o/--output."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        text = f"Show {what}; =json for programs, =html for the projector."
        explain = click.option("--explain", "form", cls=ExplainOption, default="", metavar="[=FORM]", help=text)
        return explain(click.option("-o", "--output", default="", metavar="FILE", help="Write that to FILE.")(function))

    return add


@contextlib.contextmanager
def traced(
    explaining: Explaining, verb: str, reference: Reference, platform: str, progress: Report
) -> Iterator[Trace | None]:
    """Yield the trace of a pull or a push that is asked for, or None; see `showing`."""
    with showing(explaining) as show:
        if show is None:
            yield None
            return
        from tinybox.seeing.registry_trace import Trace

        with Trace(verb, reference, platform, progress, show) as trace:
            yield trace


@contextlib.contextmanager
def showing(explaining: Explaining, subject: str = "registry") -> Iterator[Show | None]:
    """Yield the function that shows an event about *subject*, or None. UsageError: its file cannot be written.

    Only the owner may read the file (0600): it has the names of private repositories.
    """
    if not explaining.form:
        yield None
        return
    try:
        with _opened(explaining.output) as file:

            def write(text: str) -> None:
                file.write(text)
                file.flush()

            yield _display(subject, explaining.form, write)
    except BrokenPipeError as error:
        raise UsageError("--explain", "its output is closed", "-o FILE") from error


def _opened(path: str) -> Any:
    if not path:
        return contextlib.nullcontext(sys.stderr)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"--output {path}", f"cannot be written: {error.strerror}") from error
    return os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace")


def _display(subject: str, form: str, write: Callable[[str], None]) -> Show:
    """Return the function that writes each event in the chosen *form*, as soon as it happens."""
    if form == "json":
        return lambda event: write(json.dumps(event) + "\n")
    if form == "html":
        from tinybox.seeing import build_page, registry_page
        from tinybox.seeing.page import Page

        return Page(write, build_page.page if subject == BUILD else registry_page.page).show
    from tinybox.seeing import build_text, registry_text
    from tinybox.seeing.text import colours

    kind = build_text.BuildText if subject == BUILD else registry_text.RegistryText
    return kind(write, colour=colours(2) and sys.stderr.isatty()).show
