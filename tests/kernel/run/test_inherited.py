"""A box does not inherit its caller's processors, priorities, OOM score and other attributes, as docker's does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import kept, new_name, until
from tests.support.oci_bundles import bundle
from tests.support.odd_caller import SHOW

if TYPE_CHECKING:
    from tests.conftest import Command
    from tests.support.oci_bundles import Bundle

__all__ = ["bundle"]
pytestmark = pytest.mark.root

ODD = [sys.executable, str(Path(__file__).parents[2] / "support/odd_caller.py")]
RIGHTS = ("--cap-add", "SYS_PTRACE", "--cap-add", "SYS_NICE")  # to read one's own timer slack, and personality


def shown(text: str) -> dict[str, str]:
    """Return the attributes that the script SHOW has printed."""
    lines = [line.partition(":") for line in text.splitlines()]
    return {name: value.strip() for name, _, value in lines}


def through_odd(*words: str, environment: dict[str, str] | None = None) -> str:
    """Return what a command prints whose caller has odd attributes; it must succeed."""
    done = subprocess.run([*ODD, *words], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def plain() -> dict[str, str]:
    """Return the attributes that docker's daemon gives a box: those of a process that nobody has changed."""
    return {
        "Cpus_allowed_list": ",".join(sorted(_ranges())),
        "SigBlk": "0" * 16,
        "THP_enabled": "1",
        "oom_score_adj": "0",
        "personality": "00000000",
        "coredump_filter": "00000033",
        "timerslack_ns": "50000",
        "nice": "0",
        "umask": "0022",
        "memory": "default",
    }


def _ranges() -> list[str]:
    numbers = sorted(os.sched_getaffinity(0))
    return [f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"]


def test_the_caller_is_odd() -> None:
    """The control for the others: a program that is executed directly has every one of these attributes."""
    found, usual = shown(through_odd("sh", "-c", SHOW)), plain()
    same = {name for name in usual if found[name] == usual[name]}
    assert same <= {"SigBlk", *(["Cpus_allowed_list"] if os.cpu_count() == 1 else [])}  # a shell unblocks signals
    assert shown(through_odd("grep", "SigBlk", "/proc/self/status"))["SigBlk"] != usual["SigBlk"]


@pytest.mark.parametrize("way", ["run", "detached", "private users", "exec", "restart"])
def test_a_box_has_none_of_the_caller_s_attributes(tinybox: Command, way: str) -> None:
    """In the foreground and the background, in a user namespace, by exec, and when its monitor starts it again."""
    name, script = new_name(), ("busybox", "sh", "-c", f"{SHOW}; echo END")

    def tell(*words: str) -> str:
        return through_odd(str(tinybox.path), *words, environment=tinybox.environment)

    if way in ("run", "private users"):
        said = tell("run", "--rm", *RIGHTS, *(("--userns", "private") if way != "run" else ()), *script)
    elif way == "exec":
        with kept(tinybox, "--rm", *RIGHTS, "--name", name, "busybox", "sh", "-c", "echo READY; exec sleep 100"):
            said = tell("exec", name, *script[1:])
    else:
        tell("run", "-d", "--name", name, *RIGHTS, *(("--restart", "on-failure:1") if way != "detached" else ()),
             "busybox", "sh", "-c", f"{SHOW}; echo END; exit 1")  # fmt: skip
        until(lambda: tinybox("logs", name).stdout.count("END") == (1 if way == "detached" else 2))
        said = tinybox("logs", name).stdout.split("END\n")[-2]
        tinybox("rm", "-f", name)
    found = shown(said)
    expected = plain()
    if way == "private users":  # files of its own /proc that root of a user namespace may not read
        expected = {key: value for key, value in expected.items() if found.get(key)}
    assert {key: found[key] for key in expected} == expected


def test_under_an_engine_the_processors_are_those_of_the_control_group(bundle: Bundle) -> None:
    """`tinybox-oci run` and `exec` do not inherit the caller's processors; its other attributes they do, as in runc."""
    words = [str(Path(sys.executable).with_name("tinybox-oci")), "--root", str(bundle.path / "state")]
    script = "grep Cpus_allowed_list /proc/self/status; cat /proc/self/oom_score_adj"
    bundle.process["args"] = ["sh", "-c", script]
    bundle.save()
    usual = plain()["Cpus_allowed_list"]
    said = through_odd(*words, "run", "--bundle", str(bundle.path), bundle.name)
    assert said.split() == ["Cpus_allowed_list:", usual, "321"]
    first = str(min(os.sched_getaffinity(0)))
    bundle.linux["resources"]["cpu"] = {"cpus": first}  # the control: the control group's own list holds
    bundle.save()
    assert through_odd(*words, "run", "--bundle", str(bundle.path), bundle.name).split()[1] == first
    del bundle.linux["resources"]["cpu"]
    bundle.create("sleep 60")
    assert bundle.oci("start", bundle.name).returncode == 0
    assert through_odd(*words, "exec", bundle.name, "sh", "-c", script).split()[1] == usual
    exec_first = ["exec", "--process", str(bundle.path / "process.json"), bundle.name]
    asked = {**bundle.process, "args": ["sh", "-c", script], "execCPUAffinity": {"initial": first, "final": first}}
    (bundle.path / "process.json").write_text(json.dumps(asked))
    assert through_odd(*words, *exec_first).split()[1] == first
