"""Images of other tools and tinybox, by way of Debian's registry: pulled, run, pushed back, with the digests they had.

Every program runs in namespaces of its own (tests/support/engine_directories.py), and so does the registry.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Command
from tests.support.engine_directories import Quarters, archive_of, quarters
from tests.support.registries import DockerRegistry
from tests.support.slowness import SLOWNESS
from tinybox.linux.filesystem.files import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow]


class Place:
    """Namespaces with a registry, a tinybox with an empty store, and an archive of busybox for the other tools."""

    def __init__(self, quarters: Quarters, registry: DockerRegistry, root: str, archive: str) -> None:
        self.quarters, self.registry, self.root, self.archive = quarters, registry, root, archive
        self.name = f"{registry.host}/made"
        self._tinybox = Command(root)

    def says(self, *words: str) -> str:
        """Run a program here, which must succeed; return its stdout."""
        done = self.quarters(*words)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout.strip()

    def tinybox(self, *words: str) -> str:
        """Run tinybox here, which must succeed; return its stdout."""
        variables = [f"TINYBOX_ROOT={self.root}", "TINYBOX_NETWORK=none", f"DOCKER_CONFIG={self.root}/none"]
        return self.says("env", *variables, self._tinybox.path, *words)

    def tool(self, name: str, *words: str) -> str:
        """Run buildah or podman with a store of its own, which must succeed; return its stdout."""
        folder = self.quarters.folder
        return self.says(name, "--root", f"{folder}/root", "--runroot", "/run/own", "--storage-driver", "vfs", *words)

    def manifest(self, name: str) -> bytes:
        """Return the bytes of the manifest that skopeo finds under *name*."""
        return self.says("skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{name}").encode()


@pytest.fixture
def place(store_root: Any) -> Iterator[Place]:
    """Give a `Place`; the store of the tests lends it the files of busybox."""
    [image] = json.loads(Command(store_root)("inspect", "busybox").stdout)
    with quarters("skopeo", "bash") as found:
        root = tempfile.mkdtemp(prefix="tinybox-peers-", dir="/var/tmp")
        archive = archive_of(found.folder, image["GraphDriver"]["Data"]["LowerDir"].split(":"))
        with DockerRegistry(found.folder / "registry", enter=found.enter) as registry:
            yield Place(found, registry, root, str(archive))
        remove_tree(root)


def needs(*tools: str) -> None:
    """Skip the test if a tool is not installed."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def goes_round(place: Place, name: str) -> None:
    """Pull the image *name*, run it, push it under another name: the manifest, and so all digests, are the same."""
    assert "Pull complete" in place.tinybox("pull", name)
    assert place.tinybox("run", "--rm", name, "echo", "hello") == "hello"
    back = f"{place.registry.host}/back:1"
    place.tinybox("tag", name, back)
    place.tinybox("push", back)
    assert place.manifest(back) == place.manifest(name)
    other = name.replace("made", "other")
    copy = ("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false")
    place.says(*copy, f"docker://{back}", f"docker://{other}")
    assert place.manifest(other) == place.manifest(name)


@pytest.mark.parametrize("form", ["oci", "docker"])
def test_buildah(place: Place, form: str) -> None:
    """An image of buildah with two layers, of which the upper one removes and changes files of the lower one."""
    needs("buildah")
    box = place.tool("buildah", "from", "scratch")
    place.tool("buildah", "add", box, place.archive, "/")
    place.tool("buildah", "commit", "-q", "-f", form, box, "one")
    box = place.tool("buildah", "from", "localhost/one")
    tree = place.tool("buildah", "mount", box)
    os.makedirs(f"{tree}/new/folder")
    for name in ("new/folder/file", "etc/passwd"):
        with open(f"{tree}/{name}", "w", encoding="ascii") as file:
            file.write("root:x:0:0::/:/bin/sh\n")
    os.unlink(f"{tree}/bin/arch")
    place.tool("buildah", "config", "--cmd", "/bin/sh", "--env", "A=b", box)
    place.tool("buildah", "commit", "-q", "-f", form, box, "two")
    place.tool("buildah", "push", "-q", "--tls-verify=false", "localhost/two", f"docker://{place.name}:1")
    goes_round(place, f"{place.name}:1")
    assert place.tinybox(
        "run", "--rm", f"{place.name}:1", "sh", "-c", "ls /bin/arch 2>&1; cat /new/folder/file; echo $A"
    )
    assert "No such file" in place.tinybox("run", "--rm", f"{place.name}:1", "sh", "-c", "ls /bin/arch 2>&1; true")


def test_umoci(place: Place) -> None:
    """An image of umoci, which skopeo pushes."""
    needs("umoci")
    layout, tree = f"{place.quarters.folder}/layout", f"{place.quarters.folder}/tree"
    os.mkdir(tree)
    place.says("tar", "-C", tree, "-xf", place.archive)
    place.says("umoci", "init", "--layout", layout)
    place.says("umoci", "new", "--image", f"{layout}:1")
    place.says("umoci", "insert", "--image", f"{layout}:1", tree, "/")
    place.says("umoci", "insert", "--image", f"{layout}:1", "--whiteout", "/bin/arch")
    place.says("umoci", "config", "--image", f"{layout}:1", "--config.cmd", "/bin/sh")
    place.says("skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{place.name}:1")
    goes_round(place, f"{place.name}:1")


@pytest.mark.parametrize("kind", ["zstd", "gzip"])
def test_podman(place: Place, kind: str) -> None:
    """An image of podman, also packed by zstd; podman pulls what tinybox has pushed, and the other way round."""
    needs("podman")
    place.tool("podman", "import", "-q", place.archive, "localhost/made")
    push = ("push", "-q", "--tls-verify=false", "--compression-format", kind)
    place.tool("podman", *push, "--format", "oci", "localhost/made", f"docker://{place.name}:1")
    goes_round(place, f"{place.name}:1")
    own = f"{place.registry.host}/own:1"
    _commit(place, own)
    place.tinybox("push", own)
    place.tool("podman", "pull", "-q", "--tls-verify=false", own)
    there = place.tool("podman", "image", "inspect", "--format", "{{.Id}}", own)
    assert there == _id_of(place, own)
    place.tool("podman", "push", "-q", "--tls-verify=false", own, f"docker://{place.name}:2")
    place.tinybox("pull", f"{place.name}:2")
    assert place.tinybox("run", "--rm", f"{place.name}:2", "cat", "/note") == "hello"


def _commit(place: Place, name: str) -> None:
    """Make the image *name* of two layers, which no other tool has seen."""
    place.tinybox("import", place.archive, "base")
    place.tinybox("run", "--name", "maker", "base", "sh", "-c", "echo hello > /note; rm /bin/arch")
    place.tinybox("commit", "maker", name)
    place.tinybox("rm", "maker")


def _id_of(place: Place, name: str) -> str:
    """Return the id of an image by its config's digest, as docker and podman name it."""
    [image] = json.loads(place.tinybox("inspect", name))
    found: str = image["Id"].removeprefix("sha256:")
    return found


@pytest.fixture
def dockerd(place: Place) -> Iterator[list[str]]:
    """Run a dockerd without a bridge in the namespaces of *place*, and give the command of its client."""
    needs("dockerd", "docker", "containerd")
    folder = place.quarters.folder
    socket = f"unix://{folder}/docker.sock"
    words = ["dockerd", "-H", socket, "--data-root", f"{folder}/docker", "--exec-root", "/run/docker"]
    words += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--storage-driver=vfs"]
    words += ["--pidfile", "/run/docker.pid"]
    log = (folder / "dockerd.log").open("wb")
    with log, subprocess.Popen([*place.quarters.enter, *words], stdout=log, stderr=log) as daemon:
        client = ["docker", "-H", socket]
        deadline = time.monotonic() + 60 * SLOWNESS
        try:
            while place.quarters(*client, "version").returncode:
                assert daemon.poll() is None, (folder / "dockerd.log").read_text()[-2000:]
                assert time.monotonic() < deadline, (folder / "dockerd.log").read_text()[-2000:]
                time.sleep(0.1)
            yield client
        finally:
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(30)
            daemon.kill()


def test_docker(place: Place, dockerd: list[str]) -> None:
    """An image of docker is pulled, run and pushed back; docker pulls what tinybox has pushed, and back."""
    place.says(*dockerd, "import", place.archive, f"{place.name}:1")
    place.says(*dockerd, "push", "-q", f"{place.name}:1")
    goes_round(place, f"{place.name}:1")
    own = f"{place.registry.host}/own:1"
    _commit(place, own)
    place.tinybox("push", own)
    place.says(*dockerd, "pull", "-q", own)
    assert place.says(*dockerd, "image", "inspect", "--format", "{{.Id}}", own) == f"sha256:{_id_of(place, own)}"
    place.says(*dockerd, "tag", own, f"{place.name}:2")
    place.says(*dockerd, "push", "-q", f"{place.name}:2")
    before = _id_of(place, own)
    place.tinybox("pull", f"{place.name}:2")
    assert _id_of(place, f"{place.name}:2") == before
    assert place.tinybox("run", "--rm", f"{place.name}:2", "cat", "/note") == "hello"
