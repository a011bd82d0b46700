"""Slurm for tests: munged, slurmctld, and a slurmd for each of two nodes, with namespaces and files of their own.

`srun --container BUNDLE` starts a bundle with the OCI runtime that the file oci.conf names. Each step reads this file,
so a test can exchange the runtime while the daemons run. See srun(1) and oci.conf(5).

The nodes limit the memory of their jobs (task/cgroup). Slurm takes the roots of the control groups for this; so a node
has a cgroup namespace, and a mount namespace in which groups of the test are the roots.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from tests.support.boxes import until
from tests.support.engine_directories import RUNTIME, child_of
from tests.support.slowness import SLOWNESS
from tinybox.container.storage import plain_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.support.engine_directories import Quarters

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "runc")
HOST = "slurm"
NODES = ("slurm1", "slurm2")
ADDRESS = "10.99.0.1"
PATIENCE = 60.0 * SLOWNESS  # seconds
RUNTIMES = {"runc": "runc", "tinybox": RUNTIME}

SLURM_CONF = """\
ClusterName=tests
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
KillWait=1
NodeName={host}[1-2] NodeHostname={host} NodeAddr={host} Port=[7001-7002] CPUs=4 RealMemory=1000
PartitionName=all Nodes=ALL Default=YES
"""
CGROUP_CONF = "ConstrainRAMSpace=yes\nConstrainSwapSpace=yes\n"
# The verbs of the runtime. %b is the bundle; node, job and step (%n, %j, %s) are the name of the container, as a step
# has one container on each node. Slurm signals its own child: without `exec` this would be the shell.
OCI_CONF = """\
RunTimeQuery="{runtime} state %n.%j.%s"
RunTimeKill="{runtime} kill %n.%j.%s"
RunTimeDelete="{runtime} delete --force %n.%j.%s"
RunTimeRun="exec {runtime} run {option} --bundle %b %n.%j.%s"
"""
# In sh: $0 is the group, $1 the node. A group of the controller cpuset takes a process only if it has both values.
NODE_SCRIPT = """\
set -e
cd /sys/fs/cgroup
for each in *; do
    mkdir -p $each/$0
    for file in cpus mems; do
        [ ! -e $each/cpuset.$file ] || cat $each/cpuset.$file > $each/$0/cpuset.$file
    done
    echo $$ > $each/$0/cgroup.procs
done
for each in *; do mount --bind $each/$0 $each; done
exec unshare --cgroup slurmd -D -N $1
"""


class Slurm:
    """The commands of one Slurm, in *place*; `uses` chooses the runtime of the steps that start from then on."""

    def __init__(self, place: Quarters) -> None:
        self.place, self.bundles = place, place.folder / "bundles"

    def __call__(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of Slurm's."""
        return self.place(*words, text=text)

    def says(self, *words: str) -> str:
        """Return what a command prints; it must succeed."""
        done = self(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def uses(self, runtime: str, option: str = "") -> None:
        """Write oci.conf for *runtime*, whose records are in a directory of its own; *option* is one of its `run`."""
        command = f"{RUNTIMES[runtime]} --root {self.records(runtime)}"
        (self.place.folder / "oci.conf").write_text(OCI_CONF.format(runtime=command, option=option))

    def records(self, runtime: str) -> Path:
        """Return the directory in which a runtime keeps the records of its containers."""
        return self.place.folder / f"records-{runtime}"

    def containers(self, runtime: str) -> list[str]:
        """List the containers of a runtime."""
        return self.says(RUNTIMES[runtime], "--root", str(self.records(runtime)), "list", "--quiet").split()

    def bundle(self, name: str, layers: Sequence[str], change: Callable[[dict[str, Any]], object]) -> Path:
        """Make a bundle from the example config.json of ``tinybox-oci spec``, changed by *change*."""
        folder = self.bundles / name
        (folder / "rootfs").mkdir(parents=True)
        plain_bundle.copy_merged(list(layers), str(folder / "rootfs"))
        self.says(RUNTIME, "spec", "--bundle", str(folder))
        config = json.loads((folder / "config.json").read_text())
        config["process"].update(terminal=False)
        change(config)
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    def is_idle(self) -> bool:
        """Return whether no job runs, and all nodes may get one."""
        done = self("sinfo", "--Node", "--noheader", "--format=%T")
        return done.stdout.split() == ["idle"] * len(NODES) and not self("squeue", "--noheader").stdout


@contextlib.contextmanager
def daemon(place: Quarters, log: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a daemon in the foreground; end it with SIGTERM."""
    with (place.folder / log).open("w") as file:
        process = subprocess.Popen([*place.enter, *words], stdout=file, stderr=file, env=place.environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.kill(child_of(process.pid), signal.SIGTERM)
        process.wait(PATIENCE)


@contextlib.contextmanager
def slurm(place: Quarters) -> Iterator[Slurm]:
    """Start the daemons, wait until the nodes are idle, and end all in the reverse order."""
    folder, engine = place.folder, Slurm(place)
    prepare(engine)
    with contextlib.ExitStack() as stack:
        munge = [f"--{kind}-file={folder}/munge.{kind}" for kind in ("key", "pid", "seed", "log")]
        words = ("munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge)
        daemons = {"munge.out": stack.enter_context(daemon(place, "munge.out", *words))}
        until((folder / "munge.socket").exists, PATIENCE)
        daemons["slurmctld.log"] = stack.enter_context(daemon(place, "slurmctld.log", "slurmctld", "-D"))
        for node in NODES:
            words = ("unshare", "--mount", "sh", "-c", NODE_SCRIPT, place.group[1:], node)
            daemons[f"{node}.log"] = stack.enter_context(daemon(place, f"{node}.log", *words))
        deadline = time.monotonic() + PATIENCE
        while not engine.is_idle():
            for log, process in daemons.items():
                assert process.poll() is None, (folder / log).read_text()
            assert time.monotonic() < deadline, (folder / "slurmctld.log").read_text()
            time.sleep(0.05)
        engine.says("srun", f"--nodes={len(NODES)}", "true")  # the first job makes groups that stay
        yield engine


def prepare(engine: Slurm) -> None:
    """Write the configuration, make a key, and give the host a name and an address that is not 127.0.0.1.

    Slurm asks getaddrinfo(3) for addresses with AI_ADDRCONFIG, which does not count 127.0.0.1.
    """
    place, folder = engine.place, engine.place.folder
    place.environment["SLURM_CONF"] = f"{folder}/slurm.conf"
    (folder / "slurm.conf").write_text(SLURM_CONF.format(folder=folder, host=HOST))
    (folder / "cgroup.conf").write_text(CGROUP_CONF)
    (folder / "state").mkdir()
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {HOST}\n")
    engine.says("mount", "--bind", f"{folder}/hosts", "/etc/hosts")
    engine.says("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    engine.says("mungekey", "--create", f"--keyfile={folder}/munge.key")
