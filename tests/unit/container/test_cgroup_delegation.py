"""Which directory of cgroup v2 a user without root makes groups in: the choice, on directories with the same files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinybox.errors import HostError
from tinybox.isolation.cgroups import delegation, files, limits
from tinybox.isolation.cgroups.hierarchies import Hierarchies
from tinybox.linux import user_namespaces

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def given(tmp_path: Path) -> str:
    """Give a directory that this user may change, as one of a scope with Delegate=yes."""
    return made(tmp_path / "given")


def made(path: Path) -> str:
    """Make a directory with the two files that have to be writable."""
    path.mkdir()
    for name in ("cgroup.procs", "cgroup.subtree_control"):
        (path / name).write_text("")
    return str(path)


def test_the_own_group_is_taken_if_it_is_delegated(given: str, tmp_path: Path) -> None:
    """The group of the command is taken if its control files may be written; one level down counts as the group."""
    assert delegation.choose(given) == given
    assert delegation.choose(f"{given}/{delegation.COMMANDS}") == given
    assert delegation.choose(str(tmp_path)) == ""  # the control: a directory without these files
    assert delegation.choose("") == ""  # a host without cgroup v2


def test_the_former_directory_is_kept_by_commands_in_it(given: str, tmp_path: Path) -> None:
    """A new home goes on in the directory of the one before, if the command is in there; else in its own."""
    inner = made(tmp_path / "given/shell")
    assert delegation.choose(inner, former=given) == given
    assert delegation.choose(inner) == inner  # the control: without a former one
    other = made(tmp_path / "given-not")
    assert delegation.choose(other, former=given) == other
    assert delegation.choose("/elsewhere", former=given) == ""


def test_a_directory_that_is_handed_in_comes_first_and_is_checked(given: str, tmp_path: Path) -> None:
    """The variable decides; a directory that is not this user's is an error that says what to do as root."""
    other = made(tmp_path / "other")
    assert delegation.choose(given, handed=f"{other}/", former=given) == other
    for wrong in (str(tmp_path), "relative", f"{given}/missing"):
        with pytest.raises(HostError, match=r"TINYBOX_CGROUP=.*no control group .*as root: chown"):
            delegation.choose(given, handed=wrong)


def test_a_removed_directory_is_forgotten(given: str, tmp_path: Path) -> None:
    """RUN/.cgroup names the directory of the home; a scope that has ended, or damage, counts as none."""
    file = tmp_path / delegation.FILE
    assert delegation.recorded(str(tmp_path)) == ""
    for text, expected in ((f"{given}\n", given), (f"{given}/ended\n", ""), ("given\n", ""), ("\n", "")):
        file.write_text(text)
        assert delegation.recorded(str(tmp_path)) == expected


def test_a_missing_controller_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a given directory without a controller the limit is an error that names both; without any, it says how."""
    monkeypatch.setattr(user_namespaces, "planned", True)
    wanted = {"memory": {"limit": 1 << 25}}
    with pytest.raises(HostError, match=r"/given, which was given to this user, has no memory controller"):
        limits.settings(wanted, Hierarchies("/given", ["pids"], {}))
    with pytest.raises(HostError, match=r"no limit would hold.*systemd-run --user --scope -p Delegate=yes"):
        limits.settings(wanted, Hierarchies(None, [], {}))
    assert limits.settings(wanted, Hierarchies("/given", ["memory"], {}))[-1].value == str(1 << 25)  # the control


def test_a_process_below_its_group_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path in /proc/PID/cgroup begins at the mount point, not at the given directory, which is below that."""
    group = tmp_path / "user/scope/tinybox/id"
    group.mkdir(parents=True)
    (group / "cgroup.subtree_control").write_text("memory\n")
    read, place = files.read, "/user/scope/tinybox/id/sub"
    monkeypatch.setattr(files, "read", lambda path: f"0::{place}\n" if path == "/proc/7/cgroup" else read(path))
    assert files.home_of(7, f"{tmp_path}/user/scope", "tinybox/id") == f"{group}/sub"
    assert files.home_of(7, str(tmp_path), "user/scope/tinybox/id") == f"{group}/sub"
    place = "/other"
    assert files.home_of(7, f"{tmp_path}/user/scope", "tinybox/id") == str(group)
