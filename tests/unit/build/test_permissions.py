"""The modes of --chmod are those of chmod(1) without a umask."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybox.build.files import permissions

if TYPE_CHECKING:
    from pathlib import Path

CLAUSES = [
    *("+x", "u=rwX", "go=rX", "g=u", "a-w", "ug+s", "+t", "o=", "u+rw-x", "=rw", "g+s", "u=s", "o+t", "a=", "a+X"),
    *("g-s", "u-s", "-t", "o=g", "u=o", "ugo=r", "g=rs", "=", "u+g-x", "a-X", "u=rwxs,g=rxs,o=rxt", "o=t", "a=rwxst"),
]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_symbolic_modes_are_those_of_chmod(tmp_path: Path, kind: str) -> None:
    """Each clause, and each pair of them, makes of eight modes what chmod(1) makes of them."""
    texts = CLAUSES + [f"{first},{second}" for first in CLAUSES[:12] for second in CLAUSES[10:20]]
    modes = [0o000, 0o644, 0o755, 0o4751, 0o2070, 0o1777, 0o7001, 0o444]
    wanted = {}
    for number, text in enumerate(texts):
        names = [str(tmp_path / f"{number}-{mode:o}") for mode in modes]
        for name, mode in zip(names, modes, strict=True):
            if kind == "file":
                os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
            else:
                os.mkdir(name)
            os.chmod(name, mode)
        wanted[text] = names
    script = "umask 0; " + "; ".join(f"chmod -- '{text}' {' '.join(names)}" for text, names in wanted.items())
    subprocess.run(["sh", "-c", script], check=True)
    for text, names in wanted.items():
        assert permissions.check(text) == "", text
        found = [permissions.changed(text, mode, is_directory=kind == "directory") for mode in modes]
        assert [f"{mode:o}" for mode in found] == [f"{stat.S_IMODE(os.stat(name).st_mode):o}" for name in names], text


@pytest.mark.parametrize(("text", "mode"), [("755", 0o755), ("0644", 0o644), ("7777", 0o7777), ("0", 0)])
def test_an_octal_mode_is_that_mode(text: str, mode: int) -> None:
    """It replaces every bit, also of a directory."""
    assert permissions.check(text) == ""
    assert permissions.changed(text, 0o4755, is_directory=True) == mode


@pytest.mark.parametrize(
    "text", ["8", "10000", "+y", "", "u", ",", "+x,", "z+x", "u+r w", "-1", "\uff1755", "u=gr", "a=uo"]
)
def test_another_text_is_refused(text: str) -> None:
    """A mode that chmod(1) would not know is never applied."""
    assert permissions.check(text)


@given(st.text("ugoarwxXst+-=,01278", max_size=10), st.integers(0, 0o7777), st.booleans())
def test_any_text_gives_a_mode_or_an_error(text: str, mode: int, is_directory: bool) -> None:
    """A checked text gives a mode of twelve bits."""
    if not permissions.check(text):
        assert 0 <= permissions.changed(text, mode, is_directory=is_directory) <= 0o7777
