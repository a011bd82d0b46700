"""The compared runtimes: prepare each one to run `true` in the same busybox, and clean up afterwards.

They do not all do the same work: the note of each row states what the runtime leaves out. tinybox, runc and crun
unshare the same six namespaces (pid, network, ipc, uts, mount, cgroup). podman and tinybox give the box a copy-on-write
root, the others a directory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.leavings import Leavings, unmount_below

if TYPE_CHECKING:
    from contextlib import ExitStack

IMAGE = "busybox"

API = """
import sys, time, tinybox
for line in sys.stdin:
    start = time.perf_counter_ns()
    status = tinybox.run("busybox", "true", network="none", rm=True).status
    print(time.perf_counter_ns() - start if status == 0 else f"status {status}", flush=True)
"""


class Unavailable(Exception):  # noqa: N818  not an error: its text is the note of an empty row
    """This peer is not installed here, or cannot run here; the text is the reason."""


# What a peer may raise that fails here: the benchmark prints that as the peer's line, and measures the others.
FAILURES = (Unavailable, OSError, ValueError, LookupError, AssertionError, subprocess.SubprocessError)


def reason_of(failure: BaseException) -> str:
    """Return the last line that a failure says, for the note of a row."""
    return (str(failure).strip() or type(failure).__name__).splitlines()[-1]


class Command:
    """A peer that is a command, started once for each run."""

    def __init__(self, name: str, note: str, *arguments: str) -> None:
        self.name, self.note, self.arguments = name, note, list(arguments)


class Interpreter:
    """A peer that is one interpreter: it runs a box for each line that it reads, and prints the time in nanoseconds."""

    def __init__(self, stack: ExitStack, name: str, note: str, *arguments: str) -> None:
        self.name, self.note, self.arguments = name, note, list(arguments)
        pipe = subprocess.PIPE
        self.process = stack.enter_context(subprocess.Popen(self.arguments, stdin=pipe, stdout=pipe, text=True))

    def milliseconds(self) -> float:
        """Run one box, and return how long it took, in milliseconds; Unavailable if it failed."""
        assert self.process.stdin is not None  # noqa: S101  for mypy: both are pipes
        assert self.process.stdout is not None  # noqa: S101
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer.isdigit():
            raise Unavailable(answer or "the interpreter ended")
        return int(answer) / 1e6

    def close(self) -> None:
        """Close the pipes of the interpreter, so that it ends, and wait for it."""
        self.process.communicate()


def tool(name: str) -> str:
    """Return the path of an installed program, also from the sbin directories; Unavailable if there is none."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise Unavailable("not installed")
    return found


def check(*arguments: str, cwd: Path | None = None) -> str:
    """Run a command once and return what it prints; Unavailable, with its last line of errors, if it fails."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=cwd)
    if done.returncode:
        raise Unavailable((done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1])
    return done.stdout


def root_of_image(folder: Path) -> Path:
    """Copy the files of tinybox's busybox image, so that all peers run the same; Unavailable if there is no image."""
    from tinybox.container.records.paths import Paths
    from tinybox.container.storage import plain_bundle
    from tinybox.errors import TinyboxError
    from tinybox.images.store import Store

    root = folder / "rootfs"
    root.mkdir(exist_ok=True)
    try:
        plain_bundle.copy_merged(Store(Paths().root).image(IMAGE).layers, str(root))
    except TinyboxError as error:
        raise Unavailable(str(error)) from error
    for name in ("proc", "sys", "dev", "tmp"):
        (root / name).mkdir(exist_ok=True)
    return root


def interpreter_alone(folder: Path, stack: ExitStack) -> Command:
    """Start Python and nothing else: no command written in Python can be faster."""
    return Command("python -c pass", "the interpreter alone, for comparison", sys.executable, "-c", "pass")


def tinybox(folder: Path, stack: ExitStack) -> Command:
    """Run the installed command."""
    check(sys.executable, "-m", "compileall", "-q", "tinybox", cwd=Path(__file__).parents[1])  # as pip would have done
    path = str(Path(sys.executable).with_name("tinybox"))
    arguments = [path, "run", "--rm", "--network", "none", IMAGE, "true"]
    check(*arguments)
    return Command("tinybox run", "overlay, init, cgroup", *arguments)


def api(folder: Path, stack: ExitStack) -> Interpreter:
    """Run boxes from one interpreter."""
    note = "the Python API: one import, then one call for each box"
    peer = Interpreter(stack, "tinybox.run()", note, sys.executable, "-c", API)
    peer.milliseconds()
    return peer


def bundle(folder: Path) -> Path:
    """Write an OCI bundle with the program, the root and the namespaces that tinybox has."""
    path = folder / "config.json"
    if path.exists():
        return folder
    check(shutil.which("runc", path="/usr/sbin:/usr/bin:/usr/local/sbin") or tool("crun"), "spec", cwd=folder)
    config = json.loads(path.read_text())
    config["process"].update(terminal=False, args=["true"])
    config["process"]["capabilities"].pop("ambient", None)  # old runc writes some that the kernel refuses: a warning
    config["linux"]["namespaces"].append({"type": "cgroup"})
    path.write_text(json.dumps(config))
    return folder


def tinybox_oci(folder: Path, stack: ExitStack) -> Command:
    """Run the bundle under tinybox's OCI command line."""
    program = str(Path(sys.executable).with_name("tinybox-oci"))
    arguments = [program, "--root", f"{folder}/tinybox-oci", "run", "--bundle", str(bundle(folder)), "tinybox-bench"]
    check(*arguments)
    return Command("tinybox-oci run", "no overlay, no init; cgroup", *arguments)


def runc(folder: Path, stack: ExitStack) -> Command:
    """Run the bundle under runc."""
    arguments = [tool("runc"), "--root", f"{folder}/runc", "run", "--bundle", str(bundle(folder)), "tinybox-bench"]
    check(*arguments)
    return Command("runc run", "no overlay, no init; cgroup", *arguments)


def crun(folder: Path, stack: ExitStack) -> Command:
    """Run the same bundle under crun; if it refuses a hybrid host, in a mount namespace that has only cgroup v1."""
    arguments = [tool("crun"), "--root", f"{folder}/crun", "run", "--bundle", str(bundle(folder)), "tinybox-bench"]
    note = "no overlay, no init; cgroup"
    try:
        check(*arguments)
    except Unavailable as refusal:
        if "hybrid" not in str(refusal):
            raise
        arguments = [*without_cgroup2(stack), *arguments]
        check(*arguments)
        note += " v1 only, through nsenter (1 ms): it refuses hybrid cgroups"
    return Command("crun run", note, *arguments)


def without_cgroup2(stack: ExitStack) -> list[str]:
    """Make a mount namespace without the cgroup2 mount, and return the command prefix that enters it."""
    mounts = [line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    place = next(line[4] for line in mounts if line[line.index("-") + 1] == "cgroup2")
    script = f"umount {place} && echo ready && exec sleep infinity"
    pipe = subprocess.PIPE
    keeper = stack.enter_context(subprocess.Popen([tool("unshare"), "--mount", "sh", "-c", script], stdout=pipe))
    stack.callback(keeper.kill)
    if keeper.stdout is None or keeper.stdout.readline() != b"ready\n":
        raise Unavailable(f"cannot unmount {place}")
    return [tool("nsenter"), f"--mount=/proc/{keeper.pid}/ns/mnt"]


def bwrap(folder: Path, stack: ExitStack) -> Command:
    """Run the root under bubblewrap, with all namespaces."""
    mounts = ["--ro-bind", f"{folder}/rootfs", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    arguments = [tool("bwrap"), "--unshare-all", *mounts, "true"]
    check(*arguments)
    return Command("bwrap", "no overlay, no cgroup, no state", *arguments)


def tinybox_bridge(folder: Path, stack: ExitStack) -> Command:
    """Run the installed command with its default network: a bridge that is made and removed with the box."""
    arguments = [str(Path(sys.executable).with_name("tinybox")), "run", "--rm", "--network", "bridge", IMAGE, "true"]
    check(*arguments)
    return Command("tinybox bridge", "the same, and bridge, veth pair, address, firewall", *arguments)


def podman_bridge(folder: Path, stack: ExitStack) -> Command:
    """Run the root under podman on its bridge, which podman does not remove."""
    arguments = [*podman_run(folder, stack), "--network=podman", IMAGE, "true"]
    check(*arguments)
    return Command(
        "podman bridge", "the same, and bridge, veth pair, address, firewall; it keeps its bridge", *arguments
    )


def podman(folder: Path, stack: ExitStack) -> Command:
    """Run the root under podman, with no network."""
    arguments = [*podman_run(folder, stack), "--network=none", IMAGE, "true"]
    check(*arguments)
    return Command("podman run", "overlay, cgroup, conmon, runc", *arguments)


def podman_run(folder: Path, stack: ExitStack) -> list[str]:
    """Prepare podman, with a store and a state that are removed at the end; return its command prefix."""
    program = tool("podman")
    places = [f"--root={folder}/podman", f"--runroot={folder}/podman-run", f"--tmpdir={folder}/podman-tmp"]
    settings = ["--cgroup-manager=cgroupfs", "--runtime=runc", "--events-backend=none", "--log-level=error"]
    base = [program, *places, *settings]
    if not os.path.exists(f"{folder}/podman"):
        stack.enter_context(Leavings())
        stack.callback(unmount_below, folder)
        check(*base, "import", "--quiet", str(packed(folder)), IMAGE)
    # podman would raise these limits, which needs CAP_SYS_RESOURCE; lower limits are always allowed.
    ulimits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]
    return [*base, "run", "--rm", *ulimits]


def packed(folder: Path) -> Path:
    """Pack the root as an archive, which podman imports, and return its path."""
    archive = folder / "root.tar"
    check("tar", "-C", f"{folder}/rootfs", "-cf", str(archive), ".")
    archive.chmod(0o644)
    return archive
