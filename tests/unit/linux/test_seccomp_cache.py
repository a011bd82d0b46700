"""The cache of compiled seccomp programs: used only if all is right with it; a fault in it never causes an error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.errors import UsageError
from tinybox.isolation.seccomp.compiler import compile_profile
from tinybox.isolation.seccomp.filters import check_sum, compiled, compiler_stamp, flags_of, seal
from tinybox.linux import seccomp

if TYPE_CHECKING:
    from pathlib import Path

PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}],
}
FRESH = compile_profile(PROFILE, "x86_64")
PLANTED = b"planted!"


def kept(folder: Path) -> Path:
    """Return the one file in the cache."""
    (path,) = folder.iterdir()
    return path


def plant(folder: Path) -> Path:
    """Make a cache whose file is right in every way and holds another program, to see whether it is used."""
    compiled(PROFILE, "x86_64", str(folder))
    path = kept(folder)
    origin, _, _ = path.read_bytes().partition(b"\n")
    path.write_bytes(seal(origin, PLANTED))
    return path


def test_the_second_time_the_program_is_read(tmp_path: Path) -> None:
    """The control of all tests below: a file without a fault is used."""
    assert compiled(PROFILE, "x86_64", str(tmp_path / "new" / "cache")) == FRESH
    plant(tmp_path / "cache")
    assert compiled(PROFILE, "x86_64", str(tmp_path / "cache")) == PLANTED


def test_a_cache_is_private_and_leaves_no_drafts(tmp_path: Path) -> None:
    """One file a profile, for its owner alone."""
    compiled(PROFILE, "x86_64", str(tmp_path / "cache"))
    assert kept(tmp_path / "cache").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("change", ["truncate", "empty", "flip", "append", "origin", "writable", "link", "directory"])
def test_a_cache_with_a_fault_is_not_used(tmp_path: Path, change: str) -> None:
    """Damaged, made from other sources, or writable by others: the program is compiled again."""
    path = plant(tmp_path)
    content = path.read_bytes()
    match change:
        case "truncate":
            path.write_bytes(content[:-1])
        case "empty":
            path.write_bytes(content[: -len(PLANTED)])
        case "flip":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "append":
            path.write_bytes(content + bytes(8))
        case "origin":
            path.write_bytes(content.replace(b"read", b"bpf", 1))
        case "writable":
            path.chmod(0o666)
        case "link":
            path.rename(tmp_path / "elsewhere")
            path.symlink_to(tmp_path / "elsewhere")
        case "directory":
            path.unlink()
            path.mkdir()
    assert compiled(PROFILE, "x86_64", str(tmp_path)) == FRESH


def test_a_fault_is_repaired(tmp_path: Path) -> None:
    """The newly compiled program replaces the faulty file."""
    path = plant(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    compiled(PROFILE, "x86_64", str(tmp_path))
    assert path.read_bytes().endswith(FRESH)


def test_another_profile_or_machine_is_another_program(tmp_path: Path) -> None:
    """Neither is mistaken for the other."""
    plant(tmp_path)
    assert compiled(PROFILE, "aarch64", str(tmp_path)) == compile_profile(PROFILE, "aarch64")
    other = {"defaultAction": "SCMP_ACT_ALLOW"}
    assert compiled(other, "x86_64", str(tmp_path)) == compile_profile(other, "x86_64")


def test_a_new_compiler_invalidates_old_programs(tmp_path: Path) -> None:
    """The origin holds the sizes and times of the compiler's files."""
    path = plant(tmp_path)
    origin = path.read_bytes().partition(b"\n")[0].replace(b"compiler.py ", b"compiler.py 1", 1)
    path.write_bytes(seal(origin, PLANTED))
    assert compiled(PROFILE, "x86_64", str(tmp_path)) == FRESH


def test_without_a_place_for_the_cache_all_works(tmp_path: Path) -> None:
    """The cache's directory may be a file."""
    (tmp_path / "file").touch()
    assert compiled(PROFILE, "x86_64", str(tmp_path / "file" / "cache")) == FRESH


def test_a_faulty_profile_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    """The error is raised before the file is written."""
    with pytest.raises(UsageError):
        compiled({"defaultAction": "?"}, "x86_64", str(tmp_path))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("data", [b"x", b"abcdefgh" * 1000])
def test_the_check_sum_sees_every_single_bit(data: bytes) -> None:
    """Powers of two have no remainder 0 by an odd prime."""
    for bit in range(0, 8 * len(data), 61):
        number = int.from_bytes(data, "big") ^ 1 << bit
        assert check_sum(number.to_bytes(len(data), "big")) != check_sum(data)


def test_the_flags_of_a_profile() -> None:
    """OCI's names become the kernel's bits; the action that notifies an agent needs a listener."""
    assert flags_of({}) == 0
    assert flags_of({"flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}) == 2 | 4
    assert flags_of({"flags": ["SECCOMP_FILTER_FLAG_TSYNC"]}) == 1 | 16
    notify = {"syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]}
    assert flags_of(notify) == seccomp.SECCOMP_FILTER_FLAG_NEW_LISTENER
    with pytest.raises(UsageError, match=r"flags\[0\]"):
        flags_of({"flags": ["LOUD"]})


def test_the_stamp_names_every_file_of_the_compiler() -> None:
    """A file that is moved without its name in the stamp would be passed over: old programs would stay valid."""
    names = compiler_stamp().split()[::3]
    assert [name.rpartition("/")[2] for name in names] == ["compiler.py", "syscalls.py", "seccomp.py"]
