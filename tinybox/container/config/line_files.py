"""--env-file and --label-file: files of lines NAME=VALUE, read as docker reads them."""

from __future__ import annotations

from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 8 << 20  # characters; execve(2) takes at most 6 MiB of variables and arguments together
NOUNS = {"env-file": "variable", "label-file": "label"}


def of_each(files: Iterable[str], option: str) -> list[str]:
    """Return the lines of all *files* of *option* (env-file or label-file): ``NAME=VALUE`` or ``NAME``."""
    return [line for path in files for line in _lines(path, option)]


def _lines(path: str, option: str) -> list[str]:
    """Return the lines of the file *path* as docker does: without a byte order mark, and without CR before a newline.

    A CR elsewhere, and blanks at the end of a line, belong to the value.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read(_MOST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--{option} {path}", getattr(error, "strerror", None) or "is not UTF-8 text") from error
    if len(text) > _MOST:
        cause = f"is larger than {_MOST >> 20} MiB"
        raise UsageError(f"--{option} {path}", cause, "no program can be started with so many of them")
    lines = [line.removesuffix("\r").lstrip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    for line in lines:
        name = line.partition("=")[0]
        if "\0" in line or len(name.split()) != 1 or name != name.strip():
            raise UsageError(
                f"--{option} {path}", f"{line[:80]!r} is no {NOUNS[option]}", "NAME=VALUE, with no blank in NAME"
            )
    return lines
