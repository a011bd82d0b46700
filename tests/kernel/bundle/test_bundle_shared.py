"""Containers in a joined mount namespace: they get a root of their own; the processes that are there keep theirs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.oci_bundles import Bundle, bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bundle"]

pytestmark = pytest.mark.root

LOOK = "readlink /proc/self/ns/mnt; ls -d /proc/1 /mark 2>/dev/null; touch /readonly 2>/dev/null || echo refused"


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """Give a process in a mount namespace of its own, for a container to join."""
    words = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs theirs /mnt; echo; read x"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.communicate("\n")


def joined(bundle: Bundle, pid: int) -> Path:
    """Make the bundle join the mount namespace of process *pid*, and return the path of its mountinfo."""
    (bundle.root / "bin/readlink").symlink_to("busybox")
    bundle.linux["namespaces"][4] = {"type": "mount", "path": f"/proc/{pid}/ns/mnt"}
    bundle.config["root"]["readonly"] = True
    bundle.mount("/mark", "tmpfs", "size=4k")
    return Path(f"/proc/{pid}/mountinfo")


def test_a_mount_namespace_is_joined(bundle: Bundle, other: subprocess.Popen[str]) -> None:
    """The process is in that namespace, its root is the bundle's, and its mounts end with it; the others stay."""
    mounts = joined(bundle, other.pid)
    before = mounts.read_text()
    said = bundle.says(LOOK).split()
    assert said == [os.readlink(f"/proc/{other.pid}/ns/mnt"), "/mark", "/proc/1", "refused"]
    assert mounts.read_text() == before
    assert " theirs " in before


def test_other_processes_of_the_namespace_keep_their_root(bundle: Bundle, other: subprocess.Popen[str]) -> None:
    """While the container exists its mounts are below its root's path there, and nowhere in the host's namespace."""
    mounts = joined(bundle, other.pid)
    former = mounts.read_text()
    bundle.create("sleep 60")
    now = mounts.read_text()
    assert now.startswith(former)
    assert all(f" {bundle.root}" in line for line in now.removeprefix(former).splitlines())
    assert f" {bundle.root}/mark " in now
    assert str(bundle.root) not in Path("/proc/self/mountinfo").read_text()
    assert os.stat(f"/proc/{other.pid}/root").st_ino == Path("/").stat().st_ino
    bundle.oci("start", bundle.name)
    assert bundle.oci("kill", bundle.name, "KILL").returncode == 0
    bundle.wait_for("stopped")
    done = bundle.oci("delete", bundle.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert mounts.read_text() == former


def test_exec_finds_the_container_s_root(bundle: Bundle, other: subprocess.Popen[str]) -> None:
    """The namespace alone has another root: an exec sees the container's files."""
    joined(bundle, other.pid)
    bundle.create("sleep 60")
    bundle.oci("start", bundle.name)
    said = bundle.oci("exec", bundle.name, "sh", "-c", f"{LOOK}; test -e {bundle.root} || echo inside").stdout.split()
    assert said == [os.readlink(f"/proc/{other.pid}/ns/mnt"), "/mark", "/proc/1", "refused", "inside"]


def test_a_failed_container_leaves_no_mounts_there(bundle: Bundle, other: subprocess.Popen[str]) -> None:
    """A container that fails at its last mount or its program leaves no mount there."""
    mounts = joined(bundle, other.pid)
    former = mounts.read_text()
    assert bundle.run("/no/such/program").returncode == 127
    assert mounts.read_text() == former
    bundle.mount("/last", "nosuchfs")
    bundle.refused("nosuchfs")
    assert mounts.read_text() == former


def test_an_ended_mount_namespace_is_a_warning(bundle: Bundle) -> None:
    """`delete` after the namespace's own process has ended warns, and removes the rest."""
    words = ["unshare", "--mount", "sh", "-c", "echo; read x"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()  # unshare(1) has finished in there
        joined(bundle, holder.pid)
        bundle.create("sleep 60")
        holder.kill()
    done = bundle.oci("delete", "--force", bundle.name)
    assert done.returncode == 0
    assert "mount namespace" in done.stderr
    assert not (bundle.path / "state" / bundle.name).exists()


@pytest.mark.parametrize("verb", ["run", "create"])
def test_without_a_mount_namespace_it_is_the_runtime_s(bundle: Bundle, verb: str) -> None:
    """A namespace that is not listed is inherited: the mounts are made beside the host's, and removed by `delete`."""
    joined(bundle, os.getpid())
    del bundle.linux["namespaces"][4]
    bundle.process["args"] = ["sh", "-c", LOOK]
    words, before = f"--root {bundle.path}/state", bundle.path / "before"
    make = f"run --bundle {bundle.path} {bundle.name}"
    if verb == "create":
        make = f"create --bundle {bundle.path} {bundle.name} && grep -c ' {bundle.root}/mark ' /proc/self/mountinfo"
    done = bundle.in_mounts_of_its_own(
        f"readlink /proc/self/ns/mnt; cat /proc/self/mountinfo > {before};"
        f" $0 {words} {make} && $0 {words} delete --force {bundle.name};"
        f" cat /proc/self/mountinfo | cmp - {before} && echo same"
    )
    assert (done.returncode, done.stderr) == (0, "")
    ours, *said = done.stdout.split()
    assert said == ([ours, "/mark", "/proc/1", "refused", "same"] if verb == "run" else ["1", "same"])


def test_a_root_that_is_not_visible_there_is_named(bundle: Bundle) -> None:
    """If the joined namespace has another file at the bundle's path, the path of the root is an error."""
    script = f"mount -t tmpfs theirs {bundle.path}; echo; read x"
    words = ["unshare", "--mount", "sh", "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        joined(bundle, process.pid)
        bundle.refused("root.path", "in the mount namespace")
        process.communicate("\n")


def test_a_new_user_namespace_needs_a_new_mount_namespace(bundle: Bundle) -> None:
    """A new user namespace with a joined mount namespace is refused, by the field."""
    del bundle.linux["namespaces"][4]
    bundle.linux["namespaces"].append({"type": "user"})
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 100_000, "size": 9}]
    bundle.refused("linux.namespaces", "new user namespace")
