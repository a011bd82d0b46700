"""Text that fits the terminal: the width of the terminal, and lines that end between words."""

from __future__ import annotations

import os
import textwrap

NARROWEST = 40  # columns; a narrower terminal breaks words


def columns(most: int = 100) -> int:
    """Return the width of this process's terminal, at most *most* columns; *most* if it has none; see ioctl_tty(2).

    The terminal is that of stdout, stdin or stderr: so before a pager, the width is that of the pager's terminal.
    """
    for fd in (1, 0, 2):
        try:
            found = os.get_terminal_size(fd).columns
        except OSError:
            continue
        if found:
            return min(max(found, NARROWEST), most)
    return most


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return the lines of *text*, of *width* columns unless a word is longer; *indent* begins all but the first."""
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]
