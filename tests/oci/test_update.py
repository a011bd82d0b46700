"""update: an engine sends a part of the limits of a running container; what it does not send stays as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.isolation.cgroups.hierarchies import hierarchies

if TYPE_CHECKING:
    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root

MEBIBYTE = 1 << 20
FILES = {("memory", 1): "memory.limit_in_bytes", ("memory", 2): "memory.max", ("pids", 1): "pids.max"}
LIMITS: dict[str, dict[str, Any]] = {
    "memory": {"limit": 64 * MEBIBYTE, "swap": 96 * MEBIBYTE, "reservation": 32 * MEBIBYTE},
    "cpu": {"shares": 512, "period": 50000, "quota": 20000, "burst": 1000, "cpus": "0", "mems": "0"},
    "pids": {"limit": 50},
}
CHANGES: list[tuple[str, str, Any]] = [
    ("memory", "limit", 48 * MEBIBYTE),
    ("memory", "swap", 80 * MEBIBYTE),
    ("memory", "reservation", 16 * MEBIBYTE),
    ("cpu", "shares", 256),
    ("cpu", "period", 100000),
    ("cpu", "quota", 30000),
    ("cpu", "burst", 0),
    ("cpu", "cpus", "0-1"),
    ("pids", "limit", 20),
]
# docker 20 sends a zero for each limit that its user has not named
DOCKERS_ZEROS: dict[str, Any] = {
    "blockIO": {"weight": 0},
    "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": ""},
    "memory": {"limit": 0, "reservation": 0, "kernel": 0},
}


def limit(group: str, controller: str) -> str:
    """Return the limit of a group in the kernel's file."""
    where = hierarchies()
    file = FILES.get((controller, where.version(controller)), f"{controller}.max")
    return Path(f"{where.root(controller)}{group}/{file}").read_text().strip()


def test_limits_are_changed_while_it_runs(room: str, runtime: Runtime) -> None:
    """update: by single options, by a file, from stdin; other limits stay; a bad value changes nothing."""
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    runtime.change(lambda config: config["linux"]["resources"].update(memory={"limit": 64 * MEBIBYTE}))
    runtime.runs("box")
    group = f"{room}/box"
    assert (limit(group, "memory"), limit(group, "pids")) == (str(64 * MEBIBYTE), "max")
    assert runtime("update", "--pids-limit=33", "box").returncode == 0
    assert (limit(group, "memory"), limit(group, "pids")) == (str(64 * MEBIBYTE), "33")
    assert runtime("update", "--resources=-", "box", text='{"pids": {"limit": 44}, "cpu": null}').returncode == 0
    path = runtime.folder / "resources.json"
    path.write_text(json.dumps({"memory": {"limit": 128 * MEBIBYTE}}))
    assert runtime("update", f"--resources={path}", "box").returncode == 0
    assert (limit(group, "memory"), limit(group, "pids")) == (str(128 * MEBIBYTE), "44")
    assert runtime("update", "--memory=96M", "box").returncode == 0
    assert limit(group, "memory") == str(96 * MEBIBYTE)
    assert runtime("update", f"--memory={128 * MEBIBYTE}", "box").returncode == 0
    for words in (["--pids-limit=" + "9" * 5000], [f"--pids-limit={2**63}"], ["--memory=1x"], ["--cpu-share=-1"]):
        done = runtime("update", *words, "box")
        assert (done.returncode, len(done.stderr.splitlines())) == (125, 1), done.stderr
    for words in (["--pids-limit=many"], ["--resources=/nosuch"], ["--cpuset-cpus=4095"]):
        assert runtime("update", *words, "box").returncode
    assert (limit(group, "memory"), limit(group, "pids")) == (str(128 * MEBIBYTE), "44")


def test_a_changed_limit_keeps_the_related_ones(room: str, runtime: Runtime) -> None:
    """A quota keeps its period, a limit of memory and swap that of memory; an idle group can be changed further."""
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    limits = {"memory": {"limit": 64 * MEBIBYTE}, "cpu": {"period": 50000, "quota": 20000, "shares": 512}}
    runtime.change(lambda config: config["linux"]["resources"].update(limits))
    runtime.runs("box")
    where = hierarchies()

    def kept(controller: str, v1: str, v2: str) -> str:
        file = v1 if where.version(controller) == 1 else v2
        return Path(f"{where.root(controller)}{room}/box/{file}").read_text().strip()

    def update(*words: str) -> None:
        done = runtime("update", *words, "box")
        assert done.returncode == 0, done.stderr

    update("--cpu-quota=30000")
    assert kept("cpu", "cpu.cfs_period_us", "cpu.max").split()[-1] == "50000"
    assert kept("cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "30000"
    update("--cpu-idle=1")
    update("--cpu-quota=20000")
    update("--cpu-idle=0")
    assert kept("cpu", "cpu.shares", "cpu.weight") == ("512" if where.version("cpu") == 1 else "59")
    swap = ("memory", "memory.memsw.limit_in_bytes", "memory.swap.max")
    if os.path.exists(f"{where.root('memory')}{room}/box/{swap[where.version('memory')]}"):
        update(f"--memory-swap={96 * MEBIBYTE}")
        assert kept(*swap) == str((96 if where.version("memory") == 1 else 32) * MEBIBYTE)
        update("--memory=-1")
        assert kept(*swap) in ("max", "9223372036854771712")
        assert limit(f"{room}/box", "memory") in ("max", "9223372036854771712")
    else:
        assert limit(f"{room}/box", "memory") == str(64 * MEBIBYTE)


def limit_files(group: str) -> dict[str, str]:
    """Return the kernel's files of a group that hold a limit of LIMITS, with their texts."""
    where = hierarchies()
    names = """memory.max memory.swap.max memory.low cpu.weight cpu.max cpu.max.burst cpuset.cpus cpuset.mems pids.max
        memory.limit_in_bytes memory.memsw.limit_in_bytes memory.soft_limit_in_bytes cpu.shares cpu.cfs_period_us
        cpu.cfs_quota_us cpu.cfs_burst_us""".split()
    paths = [Path(f"{root}{group}/{name}") for root in dict.fromkeys(where.roots()) for name in names]
    return {path.name: path.read_text().strip() for path in paths if path.exists()}


def test_each_limit_is_changed_alone(room: str, runtime: Runtime) -> None:
    """A limit that is sent alone, or beside docker's zeros, is set, and no other file of the group is written."""
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    runtime.change(lambda config: config["linux"]["resources"].update(LIMITS))
    runtime.runs("box")
    before = limit_files(f"{room}/box")
    for section, field, value in CHANGES:
        for beside in ({}, DOCKERS_ZEROS):
            former = limit_files(f"{room}/box")
            text = json.dumps({**beside, section: {**beside.get(section, {}), field: value}})
            done = runtime("update", "--resources=-", "box", text=text)
            assert (done.returncode, done.stderr) == (0, ""), (section, field, beside)
            after = limit_files(f"{room}/box")
            changed = [name for name in after if after[name] != former[name]]
            assert len(changed) == (0 if beside else 1), (section, field, changed)
        text = json.dumps({section: {field: LIMITS[section][field]}})
        assert runtime("update", "--resources=-", "box", text=text).returncode == 0
        assert limit_files(f"{room}/box") == before, (section, field)
    assert runtime("update", "--resources=-", "box", text=json.dumps(DOCKERS_ZEROS)).returncode == 0
    assert limit_files(f"{room}/box") == before


def test_what_another_program_has_written_stays(room: str, runtime: Runtime) -> None:
    """A file that the engine itself has written is not written back by an update of another limit."""
    where = hierarchies()
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    runtime.change(lambda config: config["linux"]["resources"].update(LIMITS))
    runtime.runs("box")
    name, text = ("cpu.shares", "777") if where.version("cpu") == 1 else ("cpu.weight", "77")
    file = Path(f"{where.root('cpu')}{room}/box/{name}")
    file.write_text(text)
    assert runtime("update", "--cpu-quota=30000", "--pids-limit=30", "box").returncode == 0
    assert file.read_text().strip() == text


def test_memory_and_swap_are_changed_together(room: str, runtime: Runtime) -> None:
    """Both can rise and both can fall, in any order of sizes; a refused pair changes nothing, and is not recorded."""
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    runtime.change(lambda config: config["linux"]["resources"].update(LIMITS))
    runtime.runs("box")
    for limit_, swap in ((256, 512), (32, 40), (128, 128), (64, -1), (64, 96)):
        total = swap * MEBIBYTE if swap > 0 else swap
        done = runtime("update", f"--memory={limit_}m", f"--memory-swap={total}", "box")
        assert done.returncode == 0, done.stderr
        assert limit(f"{room}/box", "memory") == str(limit_ * MEBIBYTE)
    before = limit_files(f"{room}/box")
    done = runtime("update", "--memory=64m", "--memory-swap=32m", "box")
    assert (done.returncode, len(done.stderr.splitlines())) == (125, 1), done
    assert limit_files(f"{room}/box") == before
    if hierarchies().version("memory") == 1:  # version 2 limits swap alone, which a higher memory limit cannot exceed
        done = runtime("update", "--memory=128m", "box")
        assert done.returncode == 125
        assert "memory.swap" in done.stderr
    assert limit_files(f"{room}/box") == before
    recorded = json.loads((runtime.root / "box/config.json").read_text())["linux"]["resources"]["memory"]
    assert recorded == {"limit": 64 * MEBIBYTE, "swap": 96 * MEBIBYTE, "reservation": 32 * MEBIBYTE}


def test_no_tasks_and_no_burst_are_values(room: str, runtime: Runtime) -> None:
    """--pids-limit 0 is a limit, the smallest one, as with runc; --cpu-burst 0 takes the burst away; -1 is no limit."""
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    runtime.change(lambda config: config["linux"]["resources"].update(LIMITS))
    runtime.runs("box")
    for words, tasks, burst in (
        (["--pids-limit=0"], "1", "1000"),
        (["--cpu-burst=0", "--pids-limit=-1"], "max", "0"),
    ):
        assert runtime("update", *words, "box").returncode == 0
        files = limit_files(f"{room}/box")
        assert files["pids.max"] == tasks
        assert {text for name, text in files.items() if "burst" in name} <= {burst}
