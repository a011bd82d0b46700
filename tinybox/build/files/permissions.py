"""The modes of --chmod: octal such as ``755``, or symbolic such as ``u=rwX,go=rX``; see chmod(1).

No umask counts: ``+x`` means ``a+x``, as in docker.
"""

from __future__ import annotations

import re
import stat

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_CLASSES = {
    "u": stat.S_ISUID | stat.S_IRWXU,
    "g": stat.S_ISGID | stat.S_IRWXG,
    "o": stat.S_ISVTX | stat.S_IRWXO,
    "a": 0o7777,
}
_LETTERS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": stat.S_ISUID | stat.S_ISGID, "t": stat.S_ISVTX}
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_SET_IDS = stat.S_ISUID | stat.S_ISGID


def check(text: str) -> str:
    """Return why *text* is no mode, or ""."""
    if text.isdecimal():
        is_octal = not set(text) - set("01234567") and int(text, 8) <= 0o7777
        return "" if is_octal else f"{text} is not an octal number from 0 to 7777"
    wrong = next((clause for clause in text.split(",") if not _CLAUSE.fullmatch(clause)), None)
    return "" if wrong is None else f"{text!r} is not a mode of chmod(1)"


def changed(text: str, mode: int, *, is_directory: bool) -> int:
    """Return *mode*, without its type, after ``chmod TEXT``; *text* has been checked. See chmod(1)."""
    if text.isdecimal():
        return int(text, 8)
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match:
            classes = 0
            for letter in match[1] or "a":
                classes |= _CLASSES[letter]
            for sign, letters in _ACTION.findall(match[2]):
                mode = _act(mode, classes, sign, letters, is_directory=is_directory)
    return mode


def _act(mode: int, classes: int, sign: str, letters: str, *, is_directory: bool) -> int:
    if letters in _SHIFTS:
        bits = mode >> _SHIFTS[letters] & 0o7
        bits *= 0o111
    else:
        bits = 0
        for letter in letters:
            bits |= _LETTERS[letter.lower()] if letter != "X" or is_directory or mode & 0o111 else 0
    bits &= classes
    if sign == "+":
        return mode | bits
    if sign == "-":
        return mode & ~bits
    kept = _SET_IDS if is_directory and "s" not in letters else 0  # chmod(1): a directory keeps them
    return mode & (~classes | kept) | bits
