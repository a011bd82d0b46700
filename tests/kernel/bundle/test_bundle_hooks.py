"""``hooks`` of config.json: where each of the six kinds runs, its state on stdin, and the effect of its failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.oci_bundles import Bundle, bundle
from tests.support.process_memory import memory

__all__ = ["bundle"]

pytestmark = pytest.mark.root

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
INSIDE = ("createContainer", "startContainer")


@pytest.fixture
def hooked(bundle: Bundle) -> Bundle:
    """Give a bundle with a hook of each kind: it writes its state, its namespaces and its root into a file."""
    notes = bundle.path / "notes"
    notes.mkdir()
    bundle.mount("/notes", "bind", "bind", source="notes")
    (bundle.root / "bin/readlink").symlink_to("busybox")
    bundle.config["hooks"] = {kind: [hook(notes, kind)] for kind in KINDS}
    bundle.config["annotations"] = {"key": "value"}
    return bundle


def hook(notes: Path, kind: str) -> dict[str, Any]:
    """Return a hook that notes what it sees; the last kind inside sees the container's own files."""
    folder = "/notes" if kind == "startContainer" else str(notes)
    script = (
        f"cat > {folder}/{kind}.state;"
        f" for n in mnt pid net uts; do readlink /proc/self/ns/$n; done > {folder}/{kind}.ns;"
        f" echo $KIND >> {folder}/order; test -e /notes && echo container > {folder}/{kind}.root; true"
    )
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin", f"KIND={kind}"]}


def test_all_kinds_run_in_order_with_the_container_s_state(hooked: Bundle) -> None:
    """Each runs once, in the order of the specification, and reads the state as it is at that moment."""
    found = hooked.says("cat /notes/order; echo program >> /notes/order").split()
    assert (found[:4], found[4:] in ([], ["poststart"])) == (list(KINDS[:4]), True)  # poststart runs beside the program
    notes = hooked.path / "notes"
    order = (notes / "order").read_text().split()
    assert order[:4] == list(KINDS[:4])
    assert sorted(order[4:]) == ["poststart", "poststop", "program"]
    assert order[-1] == "poststop"
    states = {kind: json.loads((notes / f"{kind}.state").read_text()) for kind in KINDS}
    for state in states.values():
        assert (state["id"], state["bundle"]) == (hooked.name, str(hooked.path))
        assert (state["annotations"], state["ociVersion"][:2]) == ({"key": "value"}, "1.")
    statuses = {kind: state["status"] for kind, state in states.items()}
    creating = dict.fromkeys(KINDS[:3], "creating")
    assert statuses == {**creating, "startContainer": "created", "poststart": "running", "poststop": "stopped"}
    assert {states[kind]["pid"] for kind in INSIDE} == {1}  # as its own pid namespace counts
    ours = {states[kind]["pid"] for kind in ("prestart", "createRuntime", "poststart")}
    assert (len(ours), min(ours) > 1) == (1, True)


def test_each_kind_runs_in_its_namespaces(hooked: Bundle) -> None:
    """Hooks of the runtime run in the host's namespaces; of the container's hooks only the last sees the new root."""
    assert hooked.says("true") == ""
    ours = [os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "net", "uts")]
    for kind in KINDS:
        found = (hooked.path / f"notes/{kind}.ns").read_text().split()
        assert [a != b for a, b in zip(found, ours, strict=True)] == [kind in INSIDE] * 4, kind
        assert (hooked.path / f"notes/{kind}.root").exists() == (kind == "startContainer")


def seen_by(bundle: Bundle, kind: str, env: list[str] | None) -> tuple[list[str], dict[str, str]]:
    """Run a hook of this *kind* by a caller with variables; return its environment, and its directory and status."""
    notes = bundle.path / "notes"
    where = "/notes" if kind == "startContainer" else notes
    script = f"env | sort > {where}/env; pwd > {where}/pwd; grep ^Seccomp: /proc/self/status > {where}/seccomp"
    new: dict[str, Any] = {"path": "/bin/busybox", "args": ["sh", "-c", script]}
    bundle.config["hooks"] = {kind: [new if env is None else {**new, "env": env}]}
    bundle.process["args"] = ["true"]
    bundle.save()
    command = str(Path(sys.executable).with_name("tinybox-oci"))
    words = [command, "--root", str(bundle.path / "state"), "run", "--bundle", str(bundle.path), bundle.name]
    callers = {"PATH": os.environ["PATH"], "CALLER": "yes", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, env=callers, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = {name: (notes / name).read_text().strip() for name in ("env", "pwd", "seccomp")}
    added = ("PWD=", "SHLVL=", "OLDPWD=")  # by the shell
    return [line for line in found.pop("env").splitlines() if not line.startswith(added)], found


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_environment_and_directory_of_a_hook(hooked: Bundle, kind: str, no_new_privileges: bool) -> None:
    """Without ``env`` a hook has the runtime's variables, and that of startContainer the program's, as with runc.

    It begins in the bundle, in the root's directory before the pivot, or in the program's. Only the hook of
    startContainer has the program's filter.
    """
    for name in ("env", "sort", "pwd"):
        (hooked.root / "bin" / name).unlink(missing_ok=True)
        (hooked.root / "bin" / name).symlink_to("busybox")
    hooked.config["process"] |= {"cwd": "/tmp", "noNewPrivileges": no_new_privileges, "env": ["PATH=/bin", "OWN=x"]}
    rule = {"names": ["acct"], "action": "SCMP_ACT_ERRNO"}
    hooked.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    variables, found = seen_by(hooked, kind, None)
    if kind == "startContainer":
        assert variables == ["HOME=/", "OWN=x", "PATH=/bin"]
    else:
        assert variables == ["CALLER=yes", "LC_ALL=C.UTF-8", f"PATH={os.environ['PATH']}"]
    places = {"createContainer": str(hooked.root), "startContainer": "/tmp"}
    assert found["pwd"] == places.get(kind, str(hooked.path))
    assert found["seccomp"].split()[1] == ("2" if kind == "startContainer" else "0")
    path = ["PATH=/bin:/usr/bin"]
    assert seen_by(hooked, kind, path)[0] == path


def test_the_environment_is_erased_after_the_hooks_that_need_it(
    hooked: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of a created container has the caller's variables no more, with a createContainer hook or without."""
    for hooks in ({}, {"createContainer": [{"path": "/bin/true"}]}):
        hooked.config["hooks"] = hooks
        monkeypatch.setenv("VARIABLE_OF_THE_CALLER", "a very long secret value")
        hooked.create("true")
        pid = json.loads(hooked.oci("state", hooked.name).stdout)["pid"]
        assert b"a very long secret value" not in memory(pid)
        assert b"tinybox" in memory(pid)  # the control: its memory can be read
        hooked.close()


def test_hooks_before_the_pivot_see_the_mounts_made(hooked: Bundle) -> None:
    """When createContainer runs, the mounts are there, below the root's own path, and nowhere on the host."""
    seen = hooked.path / "notes/seen"
    hooked.config["hooks"]["createContainer"] = [
        {"path": "/bin/sh", "args": ["sh", "-c", f"grep -c ' {hooked.root}/dev/pts ' /proc/self/mountinfo > {seen}"]}
    ]
    hooked.config["hooks"]["createRuntime"] = [
        {"path": "/bin/sh", "args": ["sh", "-c", f"! grep -q ' {hooked.root}/dev/pts ' /proc/self/mountinfo"]}
    ]
    assert hooked.says("true") == ""
    assert seen.read_text().strip() == "1"


@pytest.mark.parametrize("kind", KINDS[:5])
def test_a_hook_that_fails_ends_the_container(hooked: Bundle, kind: str) -> None:
    """The error names the hook and has its last output; the program does not run, or is ended; poststop runs."""
    hooked.config["hooks"][kind] = [
        {"path": "/bin/sh", "args": ["sh", "-c", "echo no luck >&2; exit 3"]},
        {"path": "/bin/touch", "args": ["touch", str(hooked.path / "notes/second")], "env": ["PATH=/bin"]},
    ]
    done = hooked.run("echo program ran; sleep 20")
    assert done.returncode == 125
    assert f"hooks.{kind}[0] /bin/sh" in done.stderr
    assert "exit status 3: no luck" in done.stderr
    assert kind == "poststart" or done.stdout == ""
    assert not (hooked.path / "notes/second").exists()
    assert "poststop" in (hooked.path / "notes/order").read_text()
    assert not (hooked.path / "state" / hooked.name).exists()


def test_a_poststop_hook_that_fails_is_a_warning(hooked: Bundle) -> None:
    """The hook after it still runs, and the container is gone."""
    hooked.config["hooks"]["poststop"].insert(0, {"path": "/bin/false"})
    done = hooked.run("echo ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "warning" in done.stderr
    assert "hooks.poststop[0] /bin/false" in done.stderr
    assert (hooked.path / "notes/order").read_text().split()[-1] == "poststop"
    assert not (hooked.path / "state" / hooked.name).exists()


def test_a_warning_goes_to_stderr_and_the_log(hooked: Bundle) -> None:
    """A failing poststop hook is reported on stderr, and to the engine by its log; without it there is no warning."""
    log = hooked.path / "log"
    for hooks in ([{"path": "/bin/false"}], []):
        hooked.config["hooks"] = {"poststop": hooks}
        hooked.create("true")
        done = hooked.oci(f"--log={log}", "--log-format=json", "delete", "--force", hooked.name)
        assert done.returncode == 0
        told = [json.loads(line) for line in log.read_text().splitlines()]
        log.unlink()
        assert [entry["level"] for entry in told] == ["warning"] * len(hooks)
        assert done.stderr == "".join(f"warning: {entry['msg']}\n" for entry in told)
        assert all("hooks.poststop[0] /bin/false" in entry["msg"] for entry in told)


def test_a_hook_has_a_timeout(bundle: Bundle) -> None:
    """A hook that takes longer than its timeout is killed, and counts as failed; a faster one is not."""
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}]}
    bundle.refused("hooks.createRuntime[0] /bin/sleep", "has not ended after 1 s")
    for seconds in (60, 2**31 - 1):  # more milliseconds than poll(2) can count
        bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "0"], "timeout": seconds}]}
        assert bundle.says("echo ran") == "ran"
    bundle.config["hooks"]["createRuntime"][0]["timeout"] = 10**20
    bundle.refused("hooks.createRuntime[0].timeout", "is not a whole number")


def test_a_missing_hook_is_an_error(bundle: Bundle) -> None:
    """A path of a runtime hook is searched on the host, one of startContainer in the container."""
    bundle.config["hooks"] = {"prestart": [{"path": "/no/such/hook"}]}
    bundle.refused("hooks.prestart[0] /no/such/hook", "no such file")
    (bundle.root / "only-here").symlink_to("/bin/busybox")
    bundle.config["hooks"] = {"startContainer": [{"path": "/only-here", "args": ["true"]}]}
    assert bundle.says("echo ran") == "ran"
    bundle.config["hooks"] = {"createContainer": [{"path": "/only-here", "args": ["true"]}]}
    bundle.refused("hooks.createContainer[0] /only-here", "no such file")
