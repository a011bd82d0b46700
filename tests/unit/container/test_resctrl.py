"""Classes of service of resctrl, in an ordinary directory: which directories are made, what is written, what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tinybox.errors import HostError, UsageError
from tinybox.isolation import resctrl

if TYPE_CHECKING:
    from pathlib import Path


def service(top: Path, **settings: Any) -> resctrl.ClassOfService:
    """Return the class of the container ``box`` with these *settings*; its directory has the files of resctrl."""
    return resctrl.ClassOfService(settings, "box", str(top))


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    """Give a resctrl with the classes ``gold`` and the default one."""
    for folder in (tmp_path, tmp_path / "gold"):
        folder.mkdir(exist_ok=True)
        (folder / "mon_groups").mkdir()
        (folder / "tasks").write_text("")
        (folder / "schemata").write_text("    L3:0=7f0;1=01f\n    MB:0= 20;1= 70\n")
    return tmp_path


def test_without_a_name_the_class_is_the_container_s_own(tmp_path: Path) -> None:
    """It is made, and removed with the container; if it exists already, that is an error, and it stays."""
    own = service(tmp_path)
    own.prepare()
    assert (tmp_path / "box").is_dir()
    second = service(tmp_path)
    with pytest.raises(HostError, match="exists already"):
        second.prepare()
    second.undo()
    assert (tmp_path / "box").is_dir()
    own.remove()
    assert not (tmp_path / "box").exists()
    own.remove()  # a second time is no error


def test_schemata_are_written_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old fields first, then the new one, a line with each write, as the kernel's file takes them."""
    written: list[str] = []
    own = service(tmp_path, l3CacheSchema="L3:0=f", memBwSchema="MB:0=20", schemata=["L2:0=f", "MB:0=70"])
    monkeypatch.setattr(own, "_write", lambda name, text: written.append(f"{name} {text}"))
    own.prepare()
    assert written == ["schemata L3:0=f", "schemata MB:0=20", "schemata L2:0=f", "schemata MB:0=70"]


def test_an_existing_class_is_used_as_it_is(existing: Path) -> None:
    """Its values must be those of the config, and it is never removed."""
    gold = service(existing, closID="gold", schemata=["L3:0=7f0;1=1f", "MB:0=20;1=70"])
    gold.prepare()
    gold.join(5)
    assert (existing / "gold/tasks").read_text() == "5"
    gold.remove()
    gold.undo()
    assert (existing / "gold").is_dir()
    service(existing, closID="gold", memBwSchema="MB:1=70").prepare()
    for line in ("L3:0=ff", "MB:0=30", "L2:0=f"):
        with pytest.raises(HostError, match="other values"):
            service(existing, closID="gold", schemata=[line]).prepare()


def test_a_class_without_values_must_exist(existing: Path) -> None:
    """A name alone is a class that an administrator has made; / is the default class."""
    service(existing, closID="gold").prepare()
    with pytest.raises(HostError, match="no class"):
        service(existing, closID="silver").prepare()
    assert not (existing / "silver").exists()
    default = service(existing, closID="/")
    default.prepare()
    default.join(7)
    assert (existing / "tasks").read_text() == "7"
    default.remove()
    assert existing.is_dir()


def test_a_container_is_measured_in_a_group_of_its_own(existing: Path) -> None:
    """It is named after the container, below the class, and goes with the container."""
    gold = service(existing, closID="gold", enableMonitoring=True)
    gold.prepare()
    group = existing / "gold/mon_groups/box"
    (group / "tasks").write_text("")
    gold.join(9)
    assert (group / "tasks").read_text() == (existing / "gold/tasks").read_text() == "9"
    (group / "tasks").unlink()  # in resctrl, rmdir(2) removes a group with its files
    gold.remove()
    assert not group.exists()


def test_a_failed_preparation_is_undone(existing: Path) -> None:
    """A class that the kernel gives no such values, and one that cannot be measured."""
    silver = service(existing, closID="silver", schemata=["L3:0=f"])
    with pytest.raises(HostError, match="L3:0=f"):
        silver.prepare()  # an ordinary directory has no file schemata
    silver.undo()
    assert not (existing / "silver").exists()
    with pytest.raises(HostError):
        service(existing / "nowhere", enableMonitoring=True).prepare()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"closID": "a/b"}, "closID"),
        ({"closID": ".."}, "closID"),
        ({"closID": "info"}, "closID"),
        ({"memBwSchema": "L3:0=f"}, "memBwSchema"),
        ({"memBwSchema": "MB:0=1\nMB:1=2"}, "memBwSchema"),
        ({"schemata": ["L3:0=f\nL3:1=f"]}, r"schemata\[0\]"),
    ],
)
def test_values_that_the_specification_forbids(settings: dict[str, Any], complaint: str) -> None:
    """The error names the field."""
    with pytest.raises(UsageError, match=complaint):
        resctrl.check(settings)


def test_without_resctrl_there_is_no_class() -> None:
    """An error in one line; the machine of the tests has no such file system."""
    try:
        where = resctrl.mount_point()
    except HostError as error:
        assert "resctrl is not mounted" in str(error)  # noqa: PT017
    else:
        assert where.startswith("/")
