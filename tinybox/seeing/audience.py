"""What the audience wants to see, and where: text, JSON lines or a page; and whether it stops before steps."""

from __future__ import annotations

import json
import os

from tinybox.container import omissions
from tinybox.errors import UsageError
from tinybox.seeing.observer import Observer
from tinybox.seeing.omitted import Omitted
from tinybox.seeing.text import Text, colours

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

FORMS = ("text", "json")


class Wanted:
    """The options that are about seeing, checked."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.form, self.output = options.get("explain") or "text", options.get("output") or ""
        self.brief = not options.get("explain")
        self.omitted = None
        if options.get("omit") or options.get("chroot"):
            self.omitted = Omitted(omissions.named(options.get("omit", [])), chroot=bool(options.get("chroot")))
        if self.form not in FORMS:
            raise UsageError(f"--explain={self.form}", "no such form", ", ".join(FORMS))

    def open(self) -> int:
        """Return the descriptor to write to: stderr, or a new file."""
        if not self.output:
            return 2
        return os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)


def look(wanted: Wanted, ends: dict[str, _socket.socket], parent: int) -> None:
    """Be the audience, until there is nothing more to see."""
    with open(wanted.open(), "w", encoding="utf-8", errors="backslashreplace", closefd=bool(wanted.output)) as out:

        def write(text: str) -> None:
            out.write(text)
            out.flush()

        def write_json(event: dict[str, Any]) -> None:
            write(json.dumps(event, ensure_ascii=False) + "\n")

        show = (
            write_json if wanted.form == "json" else Text(write, colour=colours(out.fileno()), brief=wanted.brief).show
        )
        Observer(ends, parent, [show], omitted=wanted.omitted).run()
