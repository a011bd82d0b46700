"""The interpreter that a program's file names, and of which execve(2) only says that there is no such file."""

from __future__ import annotations

import os
import struct
import sys
from typing import TYPE_CHECKING

import pytest

from tinybox.container.process import interpreters

if TYPE_CHECKING:
    from pathlib import Path


def program(folder: Path, name: str, content: bytes) -> str:
    """Write an executable file and return its path."""
    path = folder / name
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        (b"#!/no/such/shell\n", "/no/such/shell"),
        (b"#!/no/such/shell -e -u\n", "/no/such/shell"),
        (b"#! \t/no/such/shell\t-e\n", "/no/such/shell"),
        (b"#!/no/such/shell", "/no/such/shell"),
        (b"#!/bin/sh\r\necho\r\n", "/bin/sh\r"),
        (b"#!/etc/passwd\n", "/etc/passwd"),
        (b"#!/bin/sh\n", ""),
        (b"#!\n", ""),
        (b"echo\n", ""),
        (b"", ""),
        (b"\x7fELF", ""),
        (b"\x7fELF\x02\x01" + b"\xff" * 58, ""),
    ],
)
def test_a_script_names_it_in_its_first_line(tmp_path: Path, line: bytes, lacks: str) -> None:
    """As the kernel reads it: up to the first blank; a CR belongs to the name. Nothing, if it can be executed."""
    assert interpreters.lacking(program(tmp_path, "script", line)) == lacks


def test_an_interpreter_may_be_a_script(tmp_path: Path) -> None:
    """The last one is missing, not the first; a script that is its own interpreter ends the search."""
    inner = program(tmp_path, "inner", b"#!/no/such/shell\n")
    assert interpreters.lacking(program(tmp_path, "outer", f"#!{inner}\n".encode())) == "/no/such/shell"
    assert interpreters.lacking(program(tmp_path, "self", f"#!{tmp_path}/self\n".encode())) == ""


@pytest.mark.parametrize("bits", [32, 64])
def test_an_elf_program_has_it_in_a_header(tmp_path: Path, bits: int) -> None:
    """PT_INTERP, the second of two program headers, as in elf(5), for both sizes of addresses."""
    name = b"/no/such/ld.so\0"
    if bits == 64:
        head = struct.pack("<4s12xHHIQQQIHHH", b"\x7fELF", 2, 62, 1, 0, 64, 0, 0, 64, 56, 2)
        table = [struct.pack("<IIQQQQQQ", kind, 4, 176, 0, 0, len(name), len(name), 1) for kind in (1, 3)]
    else:
        head = struct.pack("<4s12xHHIIIIIHHH", b"\x7fELF", 2, 3, 1, 0, 52, 0, 0, 52, 32, 2)
        table = [struct.pack("<IIIIIIII", kind, 116, 0, 0, len(name), len(name), 4, 1) for kind in (1, 3)]
    content = bytearray(head.ljust(64 if bits == 64 else 52, b"\0") + b"".join(table) + name)
    content[4:6] = bytes((bits // 32, 1))
    assert interpreters.lacking(program(tmp_path, "program", bytes(content))) == "/no/such/ld.so"


def test_programs_that_run_lack_nothing(tmp_path: Path) -> None:
    """The control: this Python and /bin/sh, which this machine executes; and a fifo and no file, which are not read."""
    assert interpreters.lacking(sys.executable) == interpreters.lacking("/bin/sh") == ""
    os.mkfifo(tmp_path / "fifo", 0o755)
    assert interpreters.lacking(str(tmp_path / "fifo")) == interpreters.lacking(str(tmp_path / "none")) == ""
