"""What the audience wants to see, and where: text, JSON lines or a page; and whether it stops before steps."""

from __future__ import annotations

import contextlib
import json
import os

from tinybox.container.planning import omissions
from tinybox.errors import UsageError
from tinybox.seeing import keyboard, stepping
from tinybox.seeing.keyboard import Keyboard
from tinybox.seeing.observer import Observer
from tinybox.seeing.omitted import Omitted
from tinybox.seeing.page import Page
from tinybox.seeing.stepping import Stops
from tinybox.seeing.text import Text, colours

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any, TextIO

FORMS = ("text", "json", "html")


class SeeingOptions:
    """The options that are about seeing, checked."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.form, self.output = options.get("explain") or "text", options.get("output") or ""
        self.brief = not options.get("explain") and not options.get("step")
        self.stops = stepping.named(options.get("break_at", [])) + [stepping.ALL] * bool(options.get("step"))
        if self.stops:
            keyboard.check("--step" if options.get("step") else "--break-at")
        self.omitted = None
        if options.get("omit") or options.get("chroot"):
            self.omitted = Omitted(omissions.named(options.get("omit", [])), chroot=bool(options.get("chroot")))
        if self.form not in FORMS:
            raise UsageError(f"--explain={self.form}", "no such form", ", ".join(FORMS))

        if self.form == "html" and not self.output:
            raise UsageError("--explain=html", "is a page, and needs a file", "-o FILE")
        self.fd = self._open()

    def _open(self) -> int:
        """Return the descriptor to write to: stderr, or a new file; UsageError now, before anything has run.

        The file is its owner's alone: what is told has the words of the command, and with them the box's variables.
        """
        if not self.output:
            return 2
        try:
            return os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"--output {self.output}", f"cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Leave the file to the process that looks."""
        if self.output:
            os.close(self.fd)


def look(wanted: SeeingOptions, ends: dict[str, _socket.socket], parent: int) -> None:
    """Be the audience, until there is nothing more to see."""
    with contextlib.ExitStack() as stack:
        stop = Stops(wanted.stops, stack.enter_context(Keyboard())).stop if wanted.stops else None
        out = stack.enter_context(
            open(wanted.fd, "w", encoding="utf-8", errors="backslashreplace", closefd=bool(wanted.output))
        )
        Observer(ends, parent, [_shown(wanted, out)], stop, wanted.omitted).run()


def _shown(wanted: SeeingOptions, out: TextIO) -> Callable[[dict[str, Any]], None]:
    """Return who shows the events on *out*, each as soon as it is there."""

    def write(text: str) -> None:
        out.write(text)
        out.flush()

    def write_json(event: dict[str, Any]) -> None:
        write(json.dumps(event, ensure_ascii=False) + "\n")

    if wanted.form == "json":
        return write_json
    if wanted.form == "html":
        return Page(write).show
    return Text(write, colour=colours(out.fileno()), brief=wanted.brief).show
