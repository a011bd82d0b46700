"""containerd's Container Runtime Interface, as the kubelet of Kubernetes uses it: a pod on runc, and on tinybox."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.boxes import until
from tests.support.containerd_engines import IMAGE, PATIENCE, SETTINGS, Containerd, started, write_image
from tests.support.engine_directories import RUNTIME, quarters
from tinybox.images.store import Store
from tinybox.isolation.cgroups.hierarchies import hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cri import Client

pytestmark = [pytest.mark.root, pytest.mark.slow]

PAUSE = "docker.io/library/pause:latest"  # the image of the pod itself, made from busybox
PLUGINS = ("/usr/lib/cni", "/opt/cni/bin")
RUNNING, EXITED = 1, 2  # ContainerState of the interface
CRI = """\
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_tcp_service = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tinybox]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tinybox.options]
        BinaryName = "{runtime}"
"""
NETWORK = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [{"type": "ptp", "ipMasq": False, "ipam": {"type": "host-local", "subnet": "10.98.0.0/24"}}],
}


class Pods:
    """A containerd, and the client of its interface."""

    def __init__(self, engine: Containerd, client: Client) -> None:
        self.engine, self.call, self.place = engine, client, engine.place


@pytest.fixture
def pods(store_root: Path) -> Iterator[Pods]:
    """Give a containerd with CRI, whose image store has busybox and the image of a pod."""
    from tests.support.cri import Client

    plugins = next((path for path in PLUGINS if Path(path, "ptp").exists()), None)
    if plugins is None:
        pytest.skip("not installed: the network plugins of CNI")
    with quarters("containerd", "ctr", "runc", pids=True) as place:
        (place.folder / "cni").mkdir()
        network = json.loads(json.dumps(NETWORK))
        network["plugins"][0]["ipam"]["dataDir"] = f"{place.folder}/addresses"
        (place.folder / "cni" / "pods.conflist").write_text(json.dumps(network))
        settings = CRI.format(folder=place.folder, pause=PAUSE, plugins=plugins, runtime=RUNTIME)
        with started(place, SETTINGS.format(folder=place.folder) + settings) as engine:
            layers = Store(str(store_root)).image("busybox").layers
            for name, program in ((IMAGE, ["sh"]), (PAUSE, ["sleep", "1000000"])):
                archive = write_image(place, layers, name, program)
                engine.says("--namespace=k8s.io", "images", "import", "--snapshotter=native", str(archive))
            client = Client(engine.socket)
            yield Pods(engine, client)
            client.close()


class Pod:
    """One pod: its containers are made, commanded and removed by calls of the interface."""

    def __init__(self, pods: Pods, handler: str) -> None:
        self.pods, self.call = pods, pods.call
        options = {"namespace_options": {"network": 0, "pid": 1, "ipc": 0}}
        linux = {"cgroup_parent": f"{pods.place.group}/{handler}", "security_context": options}
        logs = pods.place.folder / f"logs-{handler}"
        metadata = {"name": handler, "uid": handler, "namespace": "default"}
        self.config = {"metadata": metadata, "hostname": "the-pod", "log_directory": str(logs), "linux": linux}
        self.logs = logs
        self.id = self.call("RunPodSandbox", config=self.config, runtime_handler=handler)["pod_sandbox_id"]

    def container(self, name: str, *command: str, **resources: int) -> str:
        """Create and start a container; return its id."""
        options = {"namespace_options": {"network": 0, "pid": 1, "ipc": 0}}
        config = {
            "metadata": {"name": name},
            "image": {"image": IMAGE},
            "command": list(command),
            "envs": [{"key": "NAME", "value": name}],
            "log_path": f"{name}.log",
            "linux": {"resources": resources, "security_context": options},
        }
        made = self.call("CreateContainer", pod_sandbox_id=self.id, config=config, sandbox_config=self.config)
        self.call("StartContainer", container_id=made["container_id"])
        return str(made["container_id"])

    def status(self, container: str) -> dict[str, Any]:
        """Return the status of a container."""
        return dict(self.call("ContainerStatus", container_id=container)["status"])

    def exec(self, container: str, *command: str) -> tuple[int, str]:
        """Run a command in a container, as a probe does; return its status and its output."""
        done = self.call("ExecSync", container_id=container, cmd=list(command), timeout=30)
        return done.get("exit_code", 0), base64.b64decode(done.get("stdout", "")).decode()

    def remove(self) -> None:
        """Stop and remove the pod with all of its containers."""
        self.call("StopPodSandbox", pod_sandbox_id=self.id)
        self.call("RemovePodSandbox", pod_sandbox_id=self.id)


def memory_limit(pods: Pods, handler: str, container: str) -> str:
    """Return the limit of memory of a container, from the kernel's file."""
    where = hierarchies()
    file = "memory.max" if where.version("memory") == 2 else "memory.limit_in_bytes"
    return Path(f"{where.root('memory')}{pods.place.group}/{handler}/{container}/{file}").read_text().strip()


@pytest.mark.parametrize("handler", ["runc", "tinybox"])
def test_a_pod_of_two(pods: Pods, handler: str) -> None:
    """Two containers share network and IPC, and nothing else; exec, logs, limits, an update, probes, stop, remove."""
    pod = Pod(pods, handler)
    first = pod.container("first", "sh", "-c", "echo from $NAME; trap 'exit 3' TERM; sleep 1000 & wait",
                          memory_limit_in_bytes=32 << 20)  # fmt: skip
    second = pod.container("second", "sleep", "1000")
    kinds = {}
    for kind in ("net", "ipc", "uts", "pid", "mnt"):
        found = {pod.exec(each, "readlink", f"/proc/1/ns/{kind}") for each in (first, second)}
        kinds[kind] = len(found)
    assert kinds == {"net": 1, "ipc": 1, "uts": 1, "pid": 2, "mnt": 2}
    address = pods.call("PodSandboxStatus", pod_sandbox_id=pod.id)["status"]["network"]["ip"]
    assert address in pod.exec(first, "ip", "address", "show", "eth0")[1]
    assert pod.exec(second, "hostname") == (0, "the-pod\n")
    pod.exec(first, "sh", "-c", "nc -l -p 7777 -e echo across >/dev/null 2>&1 &")
    until(lambda: pod.exec(second, "nc", "127.0.0.1", "7777") == (0, "across\n"), PATIENCE)

    assert pod.exec(first, "sh", "-c", "exit 7")[0] == 7
    assert memory_limit(pods, handler, first) == str(32 << 20)
    pods.call("UpdateContainerResources", container_id=first, linux={"memory_limit_in_bytes": 48 << 20})
    assert memory_limit(pods, handler, first) == str(48 << 20)
    log = pod.logs / "first.log"
    until(lambda: "stdout F from first" in log.read_text(), PATIENCE)
    assert pod.exec(first, "test", "-e", "/ready")[0] == 1  # a probe
    pod.exec(first, "touch", "/ready")
    assert pod.exec(first, "test", "-e", "/ready")[0] == 0

    assert pod.status(first)["state"] == RUNNING
    began = time.monotonic()
    pods.call("StopContainer", container_id=first, timeout=30)
    assert time.monotonic() - began < 30
    ended = pod.status(first)
    assert (ended["state"], ended["exit_code"]) == (EXITED, 3)
    killed = pod.container("killed", "sh", "-c", "head -c 100m /dev/zero | tail", memory_limit_in_bytes=16 << 20)
    until(lambda: pod.status(killed)["state"] == EXITED, PATIENCE)
    assert (pod.status(killed)["exit_code"], pod.status(killed)["reason"]) == (137, "OOMKilled")
    for each in (first, killed):
        pods.call("RemoveContainer", container_id=each)
    pod.remove()
