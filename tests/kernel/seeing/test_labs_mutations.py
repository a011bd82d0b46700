"""The labs measure the engine itself: with a piece of it removed, the labs about that piece fail.

Each mutation changes one function of the engine in this process, which makes the boxes; the labs do not change.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tinybox.build.files import copying
from tinybox.container.process import init
from tinybox.images.archives import whiteouts
from tinybox.isolation import idmap, namespaces, rlimits, rootfs
from tinybox.isolation.cgroups import limits, visible_tree
from tinybox.isolation.rootless import home
from tinybox.lab import course
from tinybox.linux.filesystem import descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.conftest import Command
    from tinybox.isolation.cgroups.files import Setting
    from tinybox.isolation.cgroups.hierarchies import Hierarchies

    Patch = pytest.MonkeyPatch
    Mutation = Callable[[Patch], None]

pytestmark = [pytest.mark.root, pytest.mark.slow]


def without_namespace(kind: str) -> Mutation:
    """Make clone3(2) omit the namespace of this *kind*, whatever the plan asks.

    Not for mount and uts: later steps of the box would then change the host's mounts, and its name.
    """

    def mutate(patch: Patch) -> None:
        real = namespaces.flags

        def flags(kinds: Iterable[str]) -> int:
            return real(each for each in kinds if each != kind)

        patch.setattr(namespaces, "flags", flags)

    return mutate


def without_cgroup_namespace(patch: Patch) -> None:
    """Show the box its control groups from the top of the host's tree.

    And make it mount none: from the host's own namespace, that would reset the options of the host's cgroup2.
    """

    def enter_cgroup_namespace() -> None:
        """Enter no cgroup namespace."""

    def mount_cgroups(*_: object) -> None:
        """Mount no cgroup file system."""

    patch.setattr(namespaces, "enter_cgroup_namespace", enter_cgroup_namespace)
    patch.setattr(visible_tree, "mount_cgroups", mount_cgroups)


def without_limit(controller: str) -> Mutation:
    """Make the planner omit all limits of this *controller*."""

    def mutate(patch: Patch) -> None:
        real = limits.settings

        def settings(resources: dict[str, object], where: Hierarchies) -> list[Setting]:
            return [setting for setting in real(resources, where) if setting.controller != controller]

        patch.setattr(limits, "settings", settings)

    return mutate


def with_careless_init(patch: Patch) -> None:
    """Make PID 1 wait for the program alone, and for no orphan."""

    def reap(pid: int) -> None:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)

    patch.setattr(init, "reap", reap)


def with_careless_cache(patch: Patch) -> None:
    """Make the build cache ignore the content of the files that COPY copies."""
    patch.setattr(copying, "digest", lambda *_: "")


def without_whiteouts(patch: Patch) -> None:
    """Make the layers of images forget which files they hide."""

    def hide(*_: object) -> None:
        """Make no mark."""

    patch.setattr(whiteouts.Marks, "hide", hide)


def with_a_user_who_stays_the_same(patch: Patch) -> None:
    """Make the map of a new user namespace give the user its own id, in place of root's."""

    def map_one(uid: int, _: int) -> None:
        with open("/proc/self/uid_map", "w", encoding="ascii") as file:
            file.write(f"{uid} {uid} 1\n")

    patch.setattr(home, "map_one", map_one)


def with_leaked_descriptor(patch: Patch) -> None:
    """Make the runtime give the program of each box one descriptor more, which execve(2) keeps."""
    real = descriptors.close_all_but

    def close_all_but(keep: Iterable[int]) -> None:
        real(keep)
        os.dup2(0, 77)

    patch.setattr(descriptors, "close_all_but", close_all_but)


def with_the_hosts_ids(patch: Patch) -> None:
    """Make the map of each private user namespace say that every id is the same outside."""
    patch.setattr(idmap, "text", lambda _: b"0 0 4294967295\n")


def with_writable_parameters(patch: Patch) -> None:
    """Leave /proc/sys writable; the labs only ask access(2), and write nothing."""
    patch.setattr(rootfs, "make_paths_readonly", lambda _paths: None)


def without_ulimits(patch: Patch) -> None:
    """Ignore the limits of setrlimit(2)."""
    patch.setattr(rlimits, "set_limit", lambda *_: None)


@pytest.fixture(autouse=True)
def images(tinybox: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the labs use the images of the tests' store."""
    monkeypatch.setenv("TINYBOX_ROOT", tinybox.root)


NOTICED: list[tuple[str, Mutation, str]] = [
    ("no pid namespace", without_namespace("pid"), "pid"),
    ("no pid namespace", without_namespace("pid"), "ipc-signal"),
    ("no pid namespace", without_namespace("pid"), "orphan"),
    ("no ipc namespace", without_namespace("ipc"), "ipc-mq"),
    ("no cgroup namespace", without_cgroup_namespace, "namespaces"),
    ("no memory limit", without_limit("memory"), "proc"),
    ("no memory limit", without_limit("memory"), "cgroup-memory"),
    ("no limit of processes", without_limit("pids"), "cgroup-pids"),
    ("an init that does not reap", with_careless_init, "zombie"),
    ("an init that does not reap", with_careless_init, "init"),
    ("a cache that ignores the content of files", with_careless_cache, "build-cache"),
    ("layers without whiteouts", without_whiteouts, "layers"),
    ("a map that makes nobody root", with_a_user_who_stays_the_same, "rootless"),
    ("no limit of processes", without_limit("pids"), "cgroup-by-hand"),
    ("no limit of the disk", without_limit("io"), "cgroup-io"),
    ("a descriptor of the runtime in the box", with_leaked_descriptor, "cloexec"),
    ("ids of the host in the box", with_the_hosts_ids, "userns"),
    ("a writable /proc/sys", with_writable_parameters, "segfault"),
    ("no limits of setrlimit", without_ulimits, "limits"),
]


@pytest.mark.parametrize(("piece", "mutate", "name"), NOTICED, ids=[f"{piece}: {name}" for piece, _, name in NOTICED])
def test_the_lab_notices(piece: str, mutate: Mutation, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this piece of the engine, the lab can be run, and does not pass."""
    mutate(monkeypatch)
    pair = course.conduct_both(course.load(name))
    assert pair.verdict == course.FAIL, (piece, pair)
    assert not pair.lab.broken, pair.lab.reason
    assert not pair.control.broken, pair.control.reason


@pytest.mark.parametrize("name", sorted({name for *_, name in NOTICED}))
def test_the_lab_passes_with_the_engine_whole(name: str) -> None:
    """The control: the same labs, the same process, with the whole engine."""
    pair = course.conduct_both(course.load(name))
    assert pair.verdict == course.PASS, pair
