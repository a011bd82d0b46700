"""The pages of labs: `tinybox lab run --html` writes them, and `tinybox lab report` writes a page about a room."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tinybox.errors import UsageError
from tinybox.lab import record
from tinybox.seeing.lab_pages import lab as lab_page
from tinybox.seeing.lab_pages import room

if TYPE_CHECKING:
    from collections.abc import Sequence


class Pages:
    """The option --html of `lab run`: one lab is one page, several are a directory with a page each and index.html."""

    def __init__(self, path: str, names: Sequence[str]) -> None:
        """Check, before anything runs, that *path* can be written; UsageError if it cannot."""
        self.path, self.several = path, len(names) > 1
        self.records: list[dict[str, Any]] = []
        try:
            if self.several:
                os.makedirs(path, exist_ok=True)
            else:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        except FileExistsError as error:
            cause = "is a file, and several labs need a directory"
            raise UsageError(f"--html {path}", cause, "name another one, or one lab") from error
        except OSError as error:
            cure = "one lab needs a file" if isinstance(error, IsADirectoryError) else ""
            raise UsageError(f"--html {path}", f"cannot be written: {error.strerror}", cure) from error

    def add(self, one: dict[str, Any]) -> None:
        """Write the page of one record; with several labs, the list of all so far, too."""
        self.records.append(one)
        if not self.several:
            write(self.path, lab_page.page(one))
            return
        write(os.path.join(self.path, f"{one['id']}.html"), lab_page.page(one))
        links = {each["id"]: f"{each['id']}.html" for each in self.records}
        write(os.path.join(self.path, "index.html"), room.page([room.HandIn("result", self.records)], links))


def write(path: str, text: str) -> None:
    """Write a page in the place of an older one; UsageError if it cannot be written."""
    try:
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(path, f"cannot be written: {error.strerror}") from error


def report(files: tuple[str, ...], output: str) -> None:
    """Write the page of the results in *files*; see `tinybox lab report`. UsageError: a file cannot be read as such."""
    hand_ins = [room.HandIn(os.path.splitext(os.path.basename(path))[0], record.read(path)) for path in files]
    write(output, room.page(hand_ins))
