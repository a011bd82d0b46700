"""Slurm runs its jobs in bundles on tinybox-oci: each job has the same status and output as with runc."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import cgroup_mode
from tests.support.boxes import until
from tests.support.engine_directories import quarters, remove_groups
from tests.support.slurm_engines import HOST, PATIENCE, PROGRAMS, Slurm, slurm
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(cgroup_mode() == "v2", reason="on pure cgroup v2 Slurm 22.05 needs systemd"),
]

MEBIBYTE = 1 << 20
LIMITS = {"memory": {"limit": 32 * MEBIBYTE, "swap": 32 * MEBIBYTE}, "pids": {"limit": 20}}
EATER = "dd bs=48M count=1 if=/dev/zero 2>/dev/null | wc -c"  # dd has a buffer of 48 MiB
COMMANDS = f"""
srun --container PLAIN echo hello
srun --container PLAIN sh -c "exit 7"
srun --container PLAIN sh -c "id; pwd; hostname; ulimit -n; echo $SLURM_JOB_NUM_NODES"
srun --container PLAIN cat
srun --container PLAIN sh -c "echo out; echo err >&2"
srun --container PLAIN touch /file
srun --container PLAIN grep -E "Cap|NoNew|SigBlk|SigIgn" /proc/self/status
srun --container PLAIN --nodes 2 --label sh -c "echo $SLURM_JOB_NUM_NODES nodes, pid $$"
srun --container LIMITED sh -c "for i in $(seq 30); do sleep 99 & done"
srun --container LIMITED sh -c "{EATER}"
srun --container LIMITED sh -c "cat /sys/fs/cgroup/*/pids.max /sys/fs/cgroup/*/memory.limit_in_bytes"
srun --container PLAIN --mem 35M sh -c "{EATER}"
srun --container PLAIN --mem 400M sh -c "{EATER}"
""".strip().splitlines()
SCRIPT = "#!/bin/sh\necho job in $0 as $(id -u), pid $$\nexit 3\n"


@pytest.fixture(scope="module")
def engine(store_root: Path) -> Iterator[Slurm]:
    """Give a Slurm of two nodes with a bundle without limits and one with limits."""
    layers = Store(str(store_root)).image("busybox").layers
    with quarters(*PROGRAMS, name=HOST, pids=True) as place, slurm(place) as engine:
        (place.folder / "shared").mkdir()
        shared = {"destination": "/shared", "source": f"{place.folder}/shared", "options": ["bind"]}
        engine.bundle("PLAIN", layers, lambda config: config["mounts"].append(shared))
        engine.bundle("LIMITED", layers, lambda config: config["linux"]["resources"].update(LIMITS))
        yield engine


def uses(engine: Slurm, runtime: str) -> None:
    """Let Slurm use this runtime; tinybox with the option without which no limit of Slurm's holds."""
    engine.uses(runtime, "--below-caller" if runtime == "tinybox" else "")


def job(engine: Slurm, line: str) -> tuple[int, list[str], list[str]]:
    """Run a line of COMMANDS; return its status, output and errors. Two tasks print in any order, on any node."""
    words = [str(engine.bundles / word) if word in ("PLAIN", "LIMITED") else word for word in shlex.split(line)]
    done = engine(words[0], "--quiet", *words[1:], text="a text\nof two lines\n")
    return done.returncode, sorted(done.stdout.splitlines()), re.sub("slurm[12]", "NODE", done.stderr).splitlines()


def results(engine: Slurm, runtime: str) -> dict[str, tuple[int, list[str], list[str]]]:
    """Run all commands with *runtime*."""
    uses(engine, runtime)
    return {line: job(engine, line) for line in COMMANDS}


def test_each_job_does_the_same(engine: Slurm) -> None:
    """Jobs have the same status, output and errors with runc and tinybox, also on two nodes, and at bundles' limits.

    Slurm's own limit (--mem) holds for the bundle, too. Without --below-caller it does not.
    """
    theirs, ours = results(engine, "runc"), results(engine, "tinybox")
    assert ours == theirs
    assert [status for status, _, _ in ours.values()] == [0, 7, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0]
    *_, eaten, values, small, large = [output for _, output, _ in ours.values()]
    assert values == ["20", str(32 * MEBIBYTE)]
    assert (eaten, small, large) == (["0"], ["0"], [str(48 * MEBIBYTE)])
    assert ours[COMMANDS[7]][1] == ["0: 2 nodes, pid 1", "1: 2 nodes, pid 1"]

    engine.uses("tinybox")
    assert job(engine, COMMANDS[-2])[1] == [str(48 * MEBIBYTE)]


def test_a_program_that_does_not_exist(engine: Slurm) -> None:
    """The status of a job whose program does not exist is 127, as docker's; runc's is 1."""
    for runtime, status in (("runc", 1), ("tinybox", 127)):
        uses(engine, runtime)
        assert engine("srun", "--container", str(engine.bundles / "PLAIN"), "/nosuch").returncode == status
        assert engine.containers(runtime) == []


def test_a_batch_script(engine: Slurm) -> None:
    """`sbatch --container` runs the script in the bundle, where Slurm mounts it, and gets its output and status."""
    uses(engine, "tinybox")
    script, output = engine.place.folder / "job.sh", engine.place.folder / "job.out"
    script.write_text(SCRIPT)
    words = ("--parsable", "--container", str(engine.bundles / "PLAIN"), "--output", str(output), str(script))
    number = engine.says("sbatch", *words)
    until(engine.is_idle, PATIENCE)
    assert "ExitCode=3:0" in engine.says("scontrol", "show", "job", number)
    assert output.read_text().splitlines()[0] == "job in /tmp/slurm/startup as 0, pid 1"
    assert engine.containers("tinybox") == []


@pytest.mark.parametrize("runtime", ["runc", "tinybox"])
def test_a_cancelled_job_ends(engine: Slurm, runtime: str) -> None:
    """`scancel` sends SIGTERM to each process in the box, in any order; nothing of the job is left."""
    uses(engine, runtime)
    told = engine.place.folder / "shared" / runtime
    script = f"trap 'echo ended > /shared/{runtime}; exit 5' TERM; echo begun; while :; do sleep 1000 & wait; done"
    with started(engine, script) as waiting:
        assert len(engine.containers(runtime)) == 1
        assert not told.exists()
        engine.says("scancel", engine.says("squeue", "--noheader", "--format=%A"))
        waiting.communicate(timeout=PATIENCE)
    until(engine.is_idle, PATIENCE)
    assert told.read_text() == "ended\n"
    until(lambda: not engine.containers(runtime), PATIENCE)


def test_a_job_that_ignores_a_signal_is_killed(engine: Slurm) -> None:
    """PID 1 ignores SIGTERM; a second later Slurm kills the box and tinybox-oci, and has the container deleted.

    Slurm itself leaves the empty groups of such a job, also with runc.
    """
    uses(engine, "tinybox")
    with started(engine, "echo begun; sleep 1000") as waiting:
        (container,) = engine.containers("tinybox")
        engine.says("scancel", engine.says("squeue", "--noheader", "--format=%A"))
        waiting.communicate(timeout=PATIENCE)
    until(engine.is_idle, PATIENCE)
    until(lambda: not engine.containers("tinybox"), PATIENCE)
    assert not engine("pgrep", "--full", "sleep 1000").stdout
    assert not list(Path("/sys/fs/cgroup").glob(f"*{engine.place.group}/**/{container}"))
    remove_groups(f"{engine.place.group}/slurm_{container.partition('.')[0]}/uid_0")


def started(engine: Slurm, script: str) -> subprocess.Popen[str]:
    """Start a job that runs *script*, and wait until it has printed a line."""
    words = ["srun", "--quiet", "--container", str(engine.bundles / "PLAIN"), "sh", "-c", script]
    waiting = subprocess.Popen(
        [*engine.place.enter, *words], stdout=subprocess.PIPE, text=True, env=engine.place.environment
    )
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "begun\n"
    return waiting
