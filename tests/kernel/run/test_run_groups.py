"""Supplementary groups: the program's primary group is one of them, however the program is started (CVE-2022-36109)."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import output, until
from tests.support.compose_projects import project
from tests.support.detached_boxes import FOREVER, life

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

GROUPS = ("sed", "-n", "s/^Groups:\\t//p", "/proc/self/status")
ROOTS = "0 1 2 3 4 6 10 11 20 26 27"  # root's groups in alpine's /etc/group
PLACES = [path for path in ("/lib", "/lib64", "/usr/lib") if os.path.exists(path)]
LIBRARIES = [word for path in PLACES for word in ("-v", f"{path}:{path}:ro")]


def groups(tinybox: Command, *words: str, image: str = "busybox") -> str:
    """Return the supplementary groups of a program that ``run WORDS`` starts, as numbers, sorted by the kernel."""
    return output(tinybox, *words, image, *GROUPS).strip()


@pytest.mark.parametrize("userns", ["host", "private"])
def test_the_primary_group_is_among_the_supplementary_ones(tinybox: Command, userns: str) -> None:
    """With numbers or names, with --group-add and without any option; also in a user namespace."""
    space = ("--userns", userns)
    assert groups(tinybox, *space, "-u", "1000:1000") == "1000"
    assert groups(tinybox, *space, "-u", "1000:1000", "--group-add", "7") == "7 1000"
    assert groups(tinybox, *space, image="alpine") == ROOTS
    assert groups(tinybox, *space, "-u", "mail:adm", image="alpine") == "4"


def test_an_image_s_user_has_the_same_groups(tinybox: Command) -> None:
    """USER of an image counts like --user, also where the image names a group."""
    with life(tinybox, "-u", "1000:50", "alpine", "true") as it:
        assert tinybox("commit", "-c", "USER 1000:60", it.name, "test-groups").returncode == 0
    try:
        assert groups(tinybox, image="test-groups") == "60"
        assert groups(tinybox, "-u", "0:0", image="test-groups") == "0"
    finally:
        assert tinybox("rmi", "test-groups").returncode == 0


def test_a_denied_group_stays_denied(tinybox: Command, tmp_path: Path) -> None:
    """A set-group-ID program cannot read a file whose mode denies it to the user's group. Control: another user can."""
    tmp_path.chmod(0o755)
    secret, program = tmp_path / "secret", tmp_path / "read"
    secret.write_text("for others only\n")
    secret.chmod(0o604)
    os.chown(secret, 0, 1000)
    shutil.copy("/bin/cat", program)
    os.chown(program, 0, 50)
    program.chmod(0o2755)
    words = ("-v", f"{tmp_path}:/mine", *LIBRARIES)
    denied = tinybox("run", "--rm", *words, "-u", "1000:1000", "busybox", "/mine/read", "/mine/secret")
    assert "Permission denied" in denied.stderr, denied
    assert output(tinybox, *words, "-u", "1000:1001", "busybox", "/mine/read", "/mine/secret") == "for others only\n"


def test_exec_and_health_checks_have_the_groups(tinybox: Command) -> None:
    """With -u they are those of that user and of the box's --group-add, which `inspect` shows; without, the box's."""
    check = f"{' '.join(GROUPS[:2])} '{GROUPS[2]}' {GROUPS[3]}"
    options = ("--health-cmd", check, "--health-interval", "100ms", "-u", "1000:1000", "--group-add", "floppy")
    with life(tinybox, *options, "alpine", *FOREVER) as it:
        for words, expected in (
            ((), "11 1000"),
            (("-u", "5:6"), "6 11"),
            (("-u", "0"), ROOTS),
            (("-u", "mail"), "11 12"),
        ):
            assert tinybox("exec", *words, it.name, *GROUPS).stdout.strip() == expected
        until(lambda: (it.state.get("health") or {}).get("Log"))
        assert it.state["health"]["Log"][0]["Output"].strip() == "11 1000"
        shown = tinybox("inspect", "-f", "{{json .HostConfig.GroupAdd}}", it.name).stdout
        assert json.loads(shown) == ["floppy"]


def test_a_stopped_box_is_started_with_the_groups(tinybox: Command) -> None:
    """`start` gives them as `run` did."""
    with life(tinybox, "-u", "1000:1000", "busybox", *GROUPS) as it:
        until(lambda: it.state["status"] == "stopped")
        assert tinybox("start", it.name).returncode == 0
        until(lambda: tinybox("logs", it.name).stdout.split() == ["1000", "1000"])


def test_a_service_of_compose_has_the_groups(tinybox: Command, tmp_path: Path) -> None:
    """`user` and `group_add` of a compose file give the groups that the options of run give."""
    service = "{<<: *stays, user: '1000:1000', group_add: [7]}"
    with project(tinybox, tmp_path, f"services: {{web: {service}}}\n", "groups") as shop:
        shop.up()
        assert shop("exec", "web", *GROUPS).stdout.strip() == "7 1000"
        assert shop("exec", "-u", "8:9", "web", *GROUPS).stdout.strip() == "7 9"
