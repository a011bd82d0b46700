"""Values that are written as text, by docker's options and by the kernel: whole numbers. No error is raised here."""

from __future__ import annotations


def is_whole(text: str) -> bool:
    """Tell whether *text* is a whole number from 0 to 2**64 - 1, in ASCII digits."""
    return text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**64
