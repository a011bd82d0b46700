"""Measure how long a pull takes, compared with podman, and with skopeo and umoci; all are run in turns.

    python -m benchmarks.images [-n ROUNDS] [--size MB] [--folder DIR]      (as root)

The image has eight layers with the files of this host's /usr, packed by gzip. Debian's docker-registry serves it on
loopback. Every program begins with an empty store; the second pull finds the image there. Nothing is removed before the
end, because ext4 passes over the inodes of files that were removed in the last minutes, which takes time. The project's
limits are 0.6 of `podman pull`, 1.0 of `skopeo copy` with `umoci unpack`, 0.3 of podman for a second pull with nothing
new, and 100 MiB of memory.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import leavings
from tests.support.registries import DockerRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TINYBOX = Path(sys.executable).with_name("tinybox")
LAYERS = 8
OCI = "application/vnd.oci.image"
SAMPLE = 0.02  # seconds between two looks at the memory of all processes


class Measure(NamedTuple):
    """How long a command took, in seconds, and the largest memory of its processes together, in MiB (PSS)."""

    seconds: float
    memory: float


def files_of_host(size: int) -> Iterator[Path]:
    """Yield regular files below /usr, *size* bytes in all."""
    for folder, _, names in os.walk("/usr"):
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size < 20_000_000:
                yield path
                size -= path.stat().st_size
                if size <= 0:
                    return


def in_whole_seconds(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Let a member need no PAX header for its time, as in the layers of docker and buildah."""
    member.mtime = int(member.mtime)
    return member


def layout(folder: Path, megabytes: int) -> None:
    """Write an OCI layout with one image of LAYERS layers into *folder*."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    layers, diff_ids, found = [], [], files_of_host(megabytes << 20)
    for _ in range(LAYERS):
        draft, size = folder / "draft", 0
        with tarfile.open(draft, "w") as tar:
            for path in found:
                tar.add(path, str(path).lstrip("/"), filter=in_whole_seconds)
                size += path.stat().st_size
                if size >= (megabytes << 20) // LAYERS:
                    break
        content = draft.read_bytes()
        diff_ids.append(f"sha256:{hashlib.sha256(content).hexdigest()}")
        layers.append(blob(gzip.compress(content, 6, mtime=0), f"{OCI}.layer.v1.tar+gzip"))
        draft.unlink()
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    kind = f"{OCI}.manifest.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
        "layers": layers,
    }
    entry = blob(json.dumps(manifest).encode(), kind)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "large"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def tree_of(pid: int) -> list[int]:
    """Return *pid* and the pids of all processes below it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += tree_of(int(child))
    return found


def memory_of(pid: int) -> float:
    """Return the proportional set size of *pid* and all processes below it, in MiB; see proc(5) on smaps_rollup."""
    total = 0
    for each in tree_of(pid):
        with contextlib.suppress(OSError, ValueError):
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def measure(*commands: list[str], environment: dict[str, str] | None = None) -> Measure:
    """Run *commands* one after the other."""
    most = 0.0
    start = time.perf_counter()
    for words in commands:
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
            ended = threading.Event()

            def watch(pid: int = process.pid, ended: threading.Event = ended) -> None:
                nonlocal most
                while not ended.wait(SAMPLE):
                    most = max(most, memory_of(pid))

            watcher = threading.Thread(target=watch) if MEMORY else None
            if watcher:
                watcher.start()
            _, err = process.communicate()
            ended.set()
            if watcher:
                watcher.join()
        if process.returncode:
            sys.exit(f"{' '.join(words)}: {err.decode()}")
    return Measure(time.perf_counter() - start, most)


MEMORY = False  # whether the memory is measured, too: this takes time from the command


class Peers:
    """The compared programs; each run has its files in a new folder below *folder*."""

    def __init__(self, folder: Path, host: str) -> None:
        self.folder, self.name = folder, f"{host}/large:1"
        self._last: dict[str, Path] = {}
        self._count = 0

    def place(self, name: str, *, again: bool = False) -> Path:
        """Return a new folder for the peer *name*, or its last one *again*."""
        if not again:
            self._count += 1  # a short path: podman takes at most 50 characters
            self._last[name] = self.folder / str(self._count)
            self._last[name].mkdir()
        return self._last[name]

    def tinybox(self, *, again: bool = False) -> Measure:
        """Pull by tinybox."""
        folder = self.place("tinybox", again=again)
        settings = {**os.environ, "TINYBOX_ROOT": str(folder)}
        return measure([str(TINYBOX), "pull", self.name], environment=settings)

    def podman(self, *, again: bool = False) -> Measure:
        """Pull by podman."""
        folder = self.place("podman", again=again)
        words = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "overlay"]
        return measure([*words, "pull", "-q", "--tls-verify=false", self.name])

    def skopeo_and_umoci(self) -> Measure:
        """Copy by skopeo into an OCI layout, and unpack that by umoci."""
        folder = self.place("umoci")
        copy = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{self.name}", f"oci:{folder}/image:1"]
        return measure(copy, ["umoci", "unpack", "--image", f"{folder}/image:1", f"{folder}/bundle"])


def compare(rounds: int, **ways: Callable[[], Measure]) -> None:
    """Run each of *ways* in turns, and print a line for each: the median, and its relation to the first."""
    global MEMORY  # noqa: PLW0603
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first round warms up
        for name, way in ways.items():
            seconds = way().seconds
            taken[name] += [seconds] * bool(number)
    first = statistics.median(next(iter(taken.values())))
    MEMORY = True
    for name, way in ways.items():
        median = statistics.median(taken[name])
        line = f"{name:24} {median:8.3f} s  tinybox takes {first / median:5.2f} of it  {way().memory:6.0f} MiB"
        print(line, flush=True)
    MEMORY = False


def main() -> None:
    """Make the image and the registry, and compare."""
    parser = argparse.ArgumentParser(description="how long a pull takes")
    parser.add_argument("-n", type=int, default=5, metavar="ROUNDS")
    parser.add_argument("--size", type=int, default=200, metavar="MB")
    parser.add_argument(
        "--folder", default="/var/tmp", metavar="DIR", help="where all files go; a tmpfs measures no disk"
    )
    chosen = parser.parse_args()
    leavings.leave_nothing_if_ended()
    with tempfile.TemporaryDirectory(prefix="tb-", dir=chosen.folder) as name:
        folder = Path(name)
        layout(folder / "layout", chosen.size)
        with DockerRegistry(folder / "registry") as registry:
            peers = Peers(folder, registry.host)
            words = ["skopeo", "copy", "-q", "--dest-tls-verify=false"]
            subprocess.run([*words, f"oci:{folder}/layout:large", f"docker://{peers.name}"], check=True)
            print(f"a pull of {chosen.size} MB in {LAYERS} layers, median of {chosen.n} rounds")
            compare(
                chosen.n, tinybox=peers.tinybox, podman=peers.podman, **{"skopeo and umoci": peers.skopeo_and_umoci}
            )
            print("a second pull, with nothing new")
            compare(2 * chosen.n, tinybox=lambda: peers.tinybox(again=True), podman=lambda: peers.podman(again=True))


if __name__ == "__main__":
    main()
