"""Images of other processors, and all tags of a repository: pull, push, run, create and compose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.registry.test_pull_push import good, manifest_of
from tests.support.image_archives import archive, regular
from tests.support.registries import OCI, DockerRegistry, PythonRegistry, digest_of
from tinybox.images.store import Store, this_architecture

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

OTHER = "arm64" if this_architecture() == "amd64" else "amd64"
STRANGE = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00" + bytes(100)  # a program of another processor


def programs(tinybox: Command) -> bytes:
    """Return an archive with the program busybox of this machine, and a program of another one."""
    [image] = json.loads(good(tinybox, "inspect", "busybox"))
    layer = image["GraphDriver"]["Data"]["LowerDir"]
    program = Path(layer, "bin/busybox").read_bytes()
    return archive([regular("busybox", program, mode=0o755), regular("strange", STRANGE, mode=0o755)])


def for_platform(registry: PythonRegistry, name: str, content: bytes, architecture: str) -> dict[str, Any]:
    """Add an image for a platform, and return its entry for an index."""
    config = {"architecture": architecture, "os": "linux", "config": {"Cmd": ["/busybox", "echo", architecture]},
              "rootfs": {"type": "layers", "diff_ids": [digest_of(content)]}}  # fmt: skip
    registry.image(name, [content], config=registry.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"))
    manifest = registry.manifests[name][0]
    platform = {"os": "linux", "architecture": architecture}
    return {"digest": digest_of(manifest), "size": len(manifest), "platform": platform}


@pytest.fixture
def both(tinybox: Command, registry: PythonRegistry) -> str:
    """Give the name of an index with an image for this machine, and one for another."""
    content = programs(tinybox)
    entries = [for_platform(registry, f"box:{one}", content, one) for one in (this_architecture(), OTHER)]
    index = json.dumps({"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": entries}).encode()
    registry.manifest("box:all", index, f"{OCI}.index.v1+json")
    return f"{registry.host}/box"


def test_another_processor_is_named(empty_store: Command, both: str) -> None:
    """`pull` and `run` say in one line that an image is for another processor; its program of this one runs."""
    name = f"{both}:{OTHER}"
    done = empty_store("pull", name)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done
    assert f"WARNING: image platform (linux/{OTHER}) does not match the expected platform" in done.stderr
    done = empty_store("run", "--rm", name)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, f"{OTHER}\n", 1), done
    assert f"requested image's platform (linux/{OTHER}) does not match the detected host platform" in done.stderr
    done = empty_store("run", "--rm", name, "/strange")
    assert (done.returncode, "exec format error" in done.stderr) == (126, True), done
    done = empty_store("create", "--name", "xx", name)
    assert "WARNING: The requested image's platform" in done.stderr
    good(empty_store, "rm", "xx")


def test_the_own_processor_is_not_named(empty_store: Command, both: str) -> None:
    """The control: an image of this machine, and one of another that was asked for, come without a warning."""
    for words in ((f"{both}:all",), ("--platform", f"linux/{OTHER}", f"{both}:all")):
        done = empty_store("pull", *words)
        assert (done.returncode, done.stderr) == (0, ""), done
    done = empty_store("run", "--rm", "--platform", f"linux/{OTHER}", f"{both}:all")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{OTHER}\n", ""), done


def test_run_brings_the_image_of_a_platform(empty_store: Command, both: str) -> None:
    """`run --platform` pulls the image of that platform if the store has another one; --pull never refuses."""
    name = f"{both}:all"
    assert good(empty_store, "run", "--rm", name) == f"{this_architecture()}\n"
    other = ("--platform", f"linux/{OTHER}")
    done = empty_store("run", "--rm", "--pull", "never", *other, name)
    assert (done.returncode, f"is for linux/{this_architecture()}, not linux/{OTHER}" in done.stderr) == (125, True), (
        done
    )
    done = empty_store("run", "--rm", *other, name)
    assert (done.returncode, done.stdout, "Pulling from box" in done.stderr) == (0, f"{OTHER}\n", True), done
    assert (
        good(empty_store, "run", "--rm", "--platform", f"linux/{this_architecture()}", name)
        == f"{this_architecture()}\n"
    )
    assert empty_store("run", "--rm", "--platform", "linux/s390x", name).returncode == 125


def test_the_policies_of_pull(empty_store: Command, both: str, registry: PythonRegistry) -> None:
    """`--pull always` asks the registry each time, *missing* only once, *never* not at all."""
    name = f"{both}:all"
    for policy, count in (("missing", 1), ("missing", 0), ("never", 0), ("always", 1)):
        registry.requests.clear()
        good(empty_store, "run", "--rm", "--pull", policy, name)
        assert len(registry.paths("/manifests/all")) == count, policy


def test_all_tags(empty_store: Command, both: str, docker_registry: DockerRegistry) -> None:
    """`pull -a` pulls every tag, `push -a` pushes every one; a tag in the name is refused in docker's words."""
    name = f"{docker_registry.host}/tools"
    good(empty_store, "pull", "-q", f"{both}:all")
    for tag in ("1", "2", "latest"):
        good(empty_store, "tag", f"{both}:all", f"{name}:{tag}")
    out = good(empty_store, "push", "-a", name)
    assert [line.split(":")[0] for line in out.splitlines() if "digest: sha256" in line] == ["1", "2", "latest"]
    assert manifest_of(f"{name}:1") == manifest_of(f"{name}:2")
    for tag in ("1", "2", "latest"):
        good(empty_store, "rmi", f"{name}:{tag}")
    out = good(empty_store, "pull", "-a", name)
    assert sorted(line for line in out.splitlines() if "Pulling from" in line) == [
        "1: Pulling from tools", "2: Pulling from tools", "latest: Pulling from tools",
    ]  # fmt: skip
    assert {reference for reference, _ in Store(empty_store.root).names()} >= {
        f"{name}:{it}" for it in ("1", "2", "latest")
    }
    for verb in ("pull", "push"):
        assert "tag can't be used with --all-tags/-a" in empty_store(verb, "-a", f"{name}:1").stderr
    assert "does not exist locally with the tag" in empty_store("push", "-a", f"{docker_registry.host}/none").stderr
    assert "no such repository" in empty_store("pull", "-a", f"{docker_registry.host}/none").stderr


def test_compose(empty_store: Command, both: str, docker_registry: DockerRegistry, tmp_path: Path) -> None:
    """`compose pull` and `push` move the images of all services; `platform` and `pull_policy` are obeyed."""
    own = f"{docker_registry.host}/own:1"
    good(empty_store, "pull", "-q", f"{both}:all")
    good(empty_store, "tag", f"{both}:all", own)
    services = {
        "own": {"image": own, "pull_policy": "never"},
        "other": {"image": f"{both}:all", "platform": f"linux/{OTHER}"},
    }
    (tmp_path / "compose.json").write_text(json.dumps({"name": "p", "services": services}))
    compose = ("compose", "-f", str(tmp_path / "compose.json"))
    done = empty_store(*compose, "push", "own")
    assert (done.returncode, " own Pushed" in done.stderr) == (0, True), done
    assert manifest_of(own)["layers"]
    done = empty_store(*compose, "pull")
    assert (done.returncode, " other Pulled" in done.stderr, "own Pulled" in done.stderr) == (0, True, False), done
    [image] = json.loads(good(empty_store, "inspect", f"{both}:all"))
    assert image["Architecture"] == OTHER
    services["gone"] = {"image": f"{docker_registry.host}/gone:1"}
    (tmp_path / "compose.json").write_text(json.dumps({"name": "p", "services": services}))
    done = empty_store(*compose, "pull")
    assert (done.returncode, "service gone: " in done.stderr, " other Pulled" in done.stderr) == (1, True, True), done
    assert empty_store(*compose, "pull", "--ignore-pull-failures").returncode == 0
