"""The options of seeing: the form (text, JSON lines, HTML page), the output file, where to stop, what to omit."""

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
    """The checked options of seeing; the output file is open."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.form, self.output = options.get("explain") or "text", options.get("output") or ""
        self.key_steps = bool(options.get("key_steps"))
        self.brief = not (options.get("explain") or options.get("step") or self.key_steps)
        every = stepping.KEY if self.key_steps else stepping.ALL
        self.stops = stepping.named(options.get("break_at", [])) + [every] * bool(options.get("step"))
        if self.stops:
            keyboard.check("--step" if options.get("step") else "--break-at")
        self.omitted = None
        if options.get("omit") or options.get("chroot"):
            self.omitted = Omitted(omissions.named(options.get("omit", [])), chroot=bool(options.get("chroot")))
        if self.form not in FORMS:
            raise UsageError(f"--explain={self.form}", "no such form", ", ".join(FORMS))

        if self.form == "html" and not self.output:
            raise UsageError("--explain=html", "a page needs a file to be written to", "-o FILE")
        self.fd = self._open()

    def _open(self) -> int:
        """Return the descriptor to write to: stderr, or a new file; UsageError if it cannot be written.

        This happens before anything runs. Only the owner may read the file (0600): the output has the arguments of the
        command, and among them the box's environment variables.
        """
        if not self.output:
            return 2
        try:
            return os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"--output {self.output}", f"cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file in this process; the observer process has it open, too."""
        if self.output:
            os.close(self.fd)


def observe(options: SeeingOptions, ends: dict[str, _socket.socket], parent: int) -> None:
    """Run the observer process: show all events until both lanes are closed."""
    with contextlib.ExitStack() as stack:
        stop = Stops(options.stops, stack.enter_context(Keyboard())).stop if options.stops else None
        out = stack.enter_context(
            open(options.fd, "w", encoding="utf-8", errors="backslashreplace", closefd=bool(options.output))
        )
        Observer(ends, parent, [_display(options, out)], stop, options.omitted).run()


def _display(options: SeeingOptions, out: TextIO) -> Callable[[dict[str, Any]], None]:
    """Return the function that writes each event to *out* in the chosen form, as soon as it happens."""

    def write(text: str) -> None:
        out.write(text)
        out.flush()

    def write_json(event: dict[str, Any]) -> None:
        write(json.dumps(event, ensure_ascii=False) + "\n")

    if options.form == "json":
        return write_json
    if options.form == "html":
        return Page(write).show
    looks = {"colour": colours(out.fileno()), "brief": options.brief, "key_steps": options.key_steps}
    looks["ideas"] = not {stepping.ALL, stepping.KEY} & {*options.stops}  # else they are told at the stop
    return Text(write, **looks).show
