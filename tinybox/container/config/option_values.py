"""Parse the values of docker's options: sizes, numbers, -e; device_option.py and mount_option.py have others.

Each function takes text, and returns a value or raises a UsageError that names the option.
"""

from __future__ import annotations

import os

from tinybox.errors import UnfitValueError, UsageError
from tinybox.text_values import is_whole

TYPE_CHECKING = False

_LARGEST = (1 << 63) - 1  # bytes; the kernel and docker count in signed numbers of 64 bits
TIME_MOST = 1 << 31  # seconds to wait for an end; docker's numbers have 32 bits there
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}

_LONGEST_NUMBER = 40  # characters; float() turns a number of more than 308 digits into infinity


def size(option: str, text: str, error: type[UsageError] = UsageError) -> int:
    """Return a size such as ``32m`` in bytes; units are b k m g t p, powers of 1024, also written ``mb`` or ``mib``."""
    word = text.strip().lower()
    digits = word.rstrip("bkmgtpi")
    unit = word[len(digits) :]
    base = unit[:1] or "b"
    if base not in _UNITS or unit.removeprefix(base) not in ("", "b", "ib") or unit in ("bb", "bib"):
        digits = ""
    if not _is_number(digits) or float(digits) * _UNITS[base] > _LARGEST:
        raise error(f"--{option} {text}", "is not a size", "write a number and b, k, m or g: 32m")
    return round(float(digits) * _UNITS[base])


def number(option: str, text: str) -> float:
    """Return *text* as a number of at least 0; UsageError if it is not one."""
    if not _is_number(text):
        error = UnfitValueError if _is_number(text.removeprefix("-")) else UsageError
        raise error(f"--{option} {text}", "is not a number")
    return float(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= _LONGEST_NUMBER


def whole(option: str, text: str, least: int, most: int, beyond: type[UsageError] = UnfitValueError) -> int:
    """Return *text* as a whole number from *least* to *most*; UsageError if it is none, *beyond* if it is another."""
    is_number = is_whole(text.removeprefix("-"))
    if not is_number or not least <= int(text) <= most:
        error = beyond if is_number else UsageError
        raise error(f"--{option} {text}", f"is not a whole number from {least} to {most}")
    return int(text)


def limit(option: str, text: str, least: int, most: int) -> int | None:
    """Return *text* as `whole` does; None, which is no limit, if it is empty or 0, as in docker."""
    return None if text in ("", "0") else whole(option, text, least, most)


def pair(option: str, text: str, separator: str, cure: str, error: type[UsageError] = UsageError) -> tuple[str, str]:
    """Return both sides of ``KEY=VALUE`` (*separator* is ``=``); UsageError, with the *cure*, if one is missing."""
    left, found, right = text.partition(separator)
    if not (left and found and right):
        raise error(f"--{option} {text}", f"has no {separator!r} between two values", cure)
    return left, right


def sysctl(text: str) -> tuple[str, str]:
    """Return name and value of one --sysctl; UsageError: one of them is missing."""
    return pair("sysctl", text, "=", "write NAME=VALUE")


def environment(lines: list[str], files: list[str]) -> dict[str, str]:
    """Return the variables of --env-file and then --env; a name without ``=`` takes tinybox's own value, if any."""
    variables: dict[str, str] = {}
    if files:
        from tinybox.container.config import line_files

        lines = [*line_files.of_each(files, "env-file"), *lines]
    for line in lines:
        name, equals, value = line.partition("=")
        if not name:
            raise UsageError(f"--env {line}", "has no name before the =")
        if equals:
            variables[name] = value
        elif name in os.environ:
            variables[name] = os.environ[name]
    return variables


def cpus(option: str, text: str, kind: str = "CPUs") -> str | None:
    """Return *text* if it is a list of CPUs or memory nodes (``0-1``, ``0,3``), else UsageError; see cpuset(7).

    None: the text is empty.
    """
    _ranges(option, text, kind)
    return text or None


def check_cpus(option: str, text: str, kind: str) -> None:
    """Raise UsageError if this host lacks one of the CPUs or memory nodes in the list *text*, as in docker."""
    path = "cpu/online" if kind == "CPUs" else "node/has_memory"  # the latter only with CONFIG_NUMA
    try:
        with open(f"/sys/devices/system/{path}", encoding="utf-8") as file:
            had = file.read().strip()
    except OSError:
        return  # then the kernel decides, by cpuset(7)
    numbers = {number for first, last in _ranges(option, had, kind) for number in range(first, last + 1)}
    for first, last in _ranges(option, text, kind):
        if last > max(numbers) or not numbers.issuperset(range(first, last + 1)):
            raise UnfitValueError(f"--{option} {text}", f"this host has only the {kind} {had}")


def _ranges(option: str, text: str, kind: str) -> list[tuple[int, int]]:
    """Return the first and the last number of each part of a list such as ``0-1,3``; UsageError: it is none."""
    found = []
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        if not is_whole(first) or (dash and not (is_whole(last) and int(first) <= int(last))):
            raise UnfitValueError(f"--{option} {text}", f"is no list of {kind}", "write 0-1 or 0,3")
        found.append((int(first), int(last or first)))
    return found


def domain_name(option: str, text: str) -> str | None:
    """Return *text*, which becomes a part of a line of /etc/hosts; None if it is empty."""
    if len(text) > 64 or " " in text or not (text or "-").isprintable():
        raise UnfitValueError(f"--{option} {text!r}", "invalid domain name format", "one word of 64 characters at most")
    return text or None


def cgroup_parent(option: str, text: str) -> str | None:
    """Return *text* if it is a path of control groups, as ``/web/batch``; None if it is empty; see cgroups(7)."""
    parts = [part for part in text.split("/") if part]
    if (text and not parts) or "." in parts or ".." in parts or not text.isprintable():
        raise UnfitValueError(
            f"--{option} {text}", "is not a path of a control group", "a path such as /web or web/batch"
        )
    return "/".join(parts) or None


def swappiness(option: str, text: str) -> int | None:
    """Return *text* as a number from 0 to 100; None, the kernel's own value, for -1, as in docker."""
    return None if text == "-1" else whole(option, text, 0, 100, UsageError)
