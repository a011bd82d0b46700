"""The command `tinybox`: as root, by ``sudo -n`` where that is allowed, or else without root, in this user's home."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

# -P: a directory of tests is no place from which root imports anything.
PROGRAM = (sys.executable, "-P", "-c", "from tinybox.cli import main; main()")
NO_SUDO = "tinybox needs root: this is another user, `sudo -n` is not allowed, and `tinybox unshare true` does not work"
SECONDS = 600.0  # for one command: a pull may take minutes


class CommandError(Exception):
    """`tinybox` ended with another *status* than 0; the text is what it wrote on stderr."""

    def __init__(self, words: Sequence[str], status: int, stderr: str) -> None:
        super().__init__(f"tinybox {' '.join(words)}: status {status}\n{stderr.rstrip()}")
        self.status, self.stderr = status, stderr


class Command:
    """The command `tinybox`; *prefix* is the command that runs it as another user."""

    def __init__(self, *prefix: str) -> None:
        self._prefix = prefix

    def __call__(
        self,
        *words: str,
        input: str | None = None,  # noqa: A002  as in subprocess.run
        check: bool = True,
        timeout: float = SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``tinybox WORDS`` and return how it ended; CommandError after another status than 0, if *check*.

        The variables TINYBOX_* of this process go with it, also through sudo.
        """
        settings = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("TINYBOX_")]
        line = [*self._prefix, *(["env", *settings] if self._prefix and settings else []), *PROGRAM, *words]
        source: dict[str, Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        done = subprocess.run(
            line, capture_output=True, text=True, errors="surrogateescape", check=False, timeout=timeout, **source
        )
        if check and done.returncode:
            raise CommandError(words, done.returncode, done.stderr)
        return done


def found() -> Command:
    """Return the command, as root or else in this user's home (`tinybox unshare`), or skip the test and say why."""
    if not sys.platform.startswith("linux"):
        pytest.skip("tinybox needs Linux")
    if os.geteuid() == 0:
        return Command()
    command = Command("sudo", "-n")
    try:
        if command("version", check=False, timeout=60).returncode == 0:
            return command
    except (OSError, subprocess.TimeoutExpired):  # there is no sudo
        pass
    command = Command()
    if command("unshare", "/bin/true", check=False, timeout=60).returncode == 0:
        return command
    pytest.skip(NO_SUDO)
