"""The streams of a program that Python code runs: an input of bytes, and an output that is kept in memory.

The program's output goes through pipes, as docker gives it, and from there to files in memory: see memfd_create(2). So
nobody has to read it while the program runs, and it has no limit but the memory.
"""

from __future__ import annotations

import os

from tinybox.container.process.handles import Handles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tinybox.container.process.wait_loop import Ending


class ProgramStreams:
    """The descriptors of stdin, stdout and stderr, in a ``with`` block, which closes what it has opened.

    *stdin* is a descriptor, or None: then the program reads *content*, or with None an empty input. With *captured* the
    output is kept for `keep`; else the program writes to the descriptors 1 and 2 of this process.
    """

    def __init__(self, stdin: int | None, content: bytes | None, *, captured: bool) -> None:
        self.is_interactive = stdin is not None or content is not None
        self._opened: list[int] = []
        self._captured = captured
        try:
            self.numbers = (
                self._input(content) if stdin is None else stdin,
                self._memory("stdout") if captured else 1,
                self._memory("stderr") if captured else 2,
            )
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._opened:
            os.close(self._opened.pop())

    def _memory(self, name: str) -> int:
        self._opened.append(os.memfd_create(f"tinybox:{name}", os.MFD_CLOEXEC))
        return self._opened[-1]

    def _input(self, content: bytes | None) -> int:
        if content is None:
            self._opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            return self._opened[-1]
        fd = self._memory("stdin")
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def handles(self, *, watched: bool) -> Handles:
        """Return the handles of a program with these streams; *watched*: this process copies the output itself."""
        handles = Handles(self.numbers, watched=watched, interactive=self.is_interactive)
        if watched and self._captured:
            handles.relayed = [*{*handles.relayed, 1, 2}]
        return handles

    def keep(self, ending: Ending) -> Ending:
        """Put what the program has written into *ending*, and return it."""
        if self._captured:
            ending.stdout, ending.stderr = map(_content, self.numbers[1:])
        return ending


def _content(fd: int) -> bytes:
    with open(fd, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()
