"""python-on-whales with a `docker` on the PATH that is tinybox: nearly each of its calls works, and it can parse all.

Each test declares the calls that it makes; so the share of calls that work is known without running the tests.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import os
import signal
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from python_on_whales import DockerClient, DockerException
from python_on_whales.exceptions import NoSuchContainer, NoSuchImage, NoSuchNetwork, NoSuchVolume

from tests.support.boxes import until
from tests.support.python_on_whales_calls import LEFT_OUT, OTHER_GROUPS, Recorded, calls
from tests.support.registries import DockerRegistry
from tinybox import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Command

# python-on-whales leaves pipes of ended commands to the garbage collector.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]
DECLARED: set[str] = set()
FOREVER = ["sh", "-c", "trap 'exit 0' TERM; echo out; echo err >&2; while :; do sleep 0.1; done"]
LEAST = 95  # calls that must work, of those that python-on-whales has for one machine


def story(names: str) -> Callable[[Any], Any]:
    """Declare the calls that a test makes, and hold it to that: each of them has returned when the test ends."""
    DECLARED.update(names.split())

    def mark(function: Any) -> Any:
        function.declared = frozenset(names.split())
        return pytest.mark.usefixtures("kept_word")(pytest.mark.root(function))

    return mark


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Give the set of the calls that have returned."""
    return set()


@pytest.fixture
def kept_word(request: pytest.FixtureRequest, seen: set[str]) -> Iterator[None]:
    """Check after a test that it made each call that it declares."""
    seen.clear()
    yield
    assert request.function.declared - seen == set()


@pytest.fixture
def docker(tinybox: Command, seen: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """Give the client; its `docker` is a link to tinybox, first in the PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").symlink_to(tinybox.path)
    for name, value in tinybox.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "logins"))
    yield Recorded(DockerClient(), seen, calls())
    gc.collect()


def properties(thing: Any) -> dict[str, Any]:
    """Return all properties of an object of python-on-whales: each is parsed from what `inspect` prints."""
    kind = type(thing)
    return {name: getattr(thing, name) for name in dir(kind) if isinstance(getattr(kind, name), property)}


def test_nearly_each_call_is_tried() -> None:
    """Each call for one machine is declared by a test, or is left out with its reason; at least 95 of about 103 are."""
    known = {name for name in calls().values() if name.partition(".")[0] not in OTHER_GROUPS}
    sys.stdout.write(f"{len(DECLARED)} of {len(known)} calls of python-on-whales work\n")
    assert known - DECLARED == set(LEFT_OUT)
    assert DECLARED - known == set()
    assert len(DECLARED) >= LEAST


@story("""container.run container.create container.list container.exists container.inspect container.execute
       container.logs container.copy container.diff container.export container.commit container.stats container.pause
       container.unpause container.update container.rename container.start container.attach container.restart
       container.kill container.wait container.stop container.remove container.prune image.import_ image.remove""")
def test_containers(docker: Recorded, tmp_path: Path) -> None:
    """The life of two boxes: made, changed, read in each way, stopped, removed."""
    box = docker.run("busybox", FOREVER, detach=True, name="whale", labels={"a": "b"}, stop_timeout=2)
    assert properties(box)["state"].running
    assert docker.run("busybox", ["echo", "hi"], remove=True) == "hi"
    other = docker.container.create("busybox", ["sh", "-c", "exit 7"], name="whale-2")
    assert [one.id for one in docker.container.list(filters=[("label", "a=b")])] == [box.id]
    assert (docker.container.exists("whale"), docker.container.exists("nothing")) == (True, False)
    with pytest.raises(NoSuchContainer):
        docker.container.inspect("nothing")
    assert [one.name for one in docker.container.inspect(["whale", other.id])] == ["whale", "whale-2"]
    assert docker.execute("whale", ["sh", "-c", "echo $A; pwd"], envs={"A": "b"}, workdir="/tmp") == "b\n/tmp"
    assert sorted(docker.logs("whale", tail=5, since=timedelta(hours=1)).split()) == ["err", "out"]  # two pipes
    (tmp_path / "file").write_text("text")
    docker.copy(tmp_path / "file", ("whale", "/copied"))
    docker.copy(("whale", "/copied"), tmp_path / "back")
    assert (tmp_path / "back").read_text() == "text"
    assert docker.diff("whale")["/copied"] == "A"
    docker.export("whale", tmp_path / "box.tar")
    made = docker.import_(tmp_path / "box.tar", tag="localhost/whale:in", changes=['CMD ["true"]'], message="by hand")
    assert made.config.cmd == ["true"]
    image = docker.commit("whale", tag="localhost/whale:kept", author="ada", message="kept", pause=True)
    assert (image.author, image.comment) == ("ada", "kept")
    [numbers] = docker.stats(["whale"])
    assert (numbers.container_name, numbers.memory_used > 0) == ("whale", True)
    docker.pause("whale")
    assert docker.container.inspect("whale").state.paused
    docker.unpause("whale")
    docker.update("whale", memory="64m", memory_swap="64m", pids_limit=50)
    assert docker.container.inspect("whale").host_config.memory == 64 << 20
    docker.rename("whale-2", "whale-3")
    docker.start("whale-3")
    assert (docker.wait("whale-3"), docker.wait([other])) == (7, [7])
    docker.restart("whale", time=1)
    docker.execute("whale", ["sh", "-c", "sleep 5; kill -TERM 1"], detach=True)
    docker.attach("whale")
    docker.start("whale")
    docker.kill("whale", signal="KILL")
    docker.start("whale")
    docker.stop("whale", time=1)
    docker.remove(["whale-3"], volumes=True)
    docker.container.prune(filters=[("label", "a=b")])
    assert not docker.container.exists("whale")
    docker.image.remove(["localhost/whale:kept", "localhost/whale:in"])


CONTAINERFILE = "FROM busybox\nARG WORD\nCOPY Dockerfile /\nRUN echo $WORD > /word\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a directory with a Containerfile."""
    found = tmp_path / "context"
    found.mkdir()
    (found / "Dockerfile").write_text(CONTAINERFILE)
    return found


@story("""buildx.build image.legacy_build image.exists image.inspect image.list image.tag image.save image.load
       image.copy_from image.copy_to image.remove image.prune buildx.list buildx.inspect buildx.is_installed
       buildx.version buildx.prune buildx.use buildx.stop""")
def test_images_and_builds(docker: Recorded, folder: Path, tmp_path: Path) -> None:
    """Images are built in each way, read, named, saved and loaded; the builder is the only one."""
    built = docker.build(folder, tags=["localhost/whale:1"], build_args={"WORD": "spout"}, labels={"x": "y"})
    assert properties(built)["repo_tags"] == ["localhost/whale:1"]
    about = tmp_path / "about.json"
    options = {"build_args": {"WORD": "spout"}, "labels": {"x": "y"}}
    lines = docker.buildx.build(
        folder, tags="localhost/whale:1", stream_logs=True, provenance=False, metadata_file=about, **options
    )
    assert "naming to localhost/whale:1\n" in list(lines)
    assert "containerimage.digest" in about.read_text()
    assert docker.image.build(folder, **options).id == built.id
    assert docker.legacy_build(folder, tags="localhost/whale:2", labels={"x": "z"}).id
    assert docker.image.inspect(["localhost/whale:1"]) == [built]
    assert (docker.image.exists("localhost/whale:1"), docker.image.exists("nothing")) == (True, False)
    with pytest.raises(NoSuchImage):
        docker.image.inspect("nothing")
    assert [one.id for one in docker.images("localhost/whale", filters=[("label", "x=y")])] == [built.id]
    docker.tag("localhost/whale:1", "localhost/whale:3")
    docker.save(["localhost/whale:3"], output=tmp_path / "saved.tar")
    stream = b"".join(docker.save("localhost/whale:3"))
    docker.image.remove("localhost/whale:3", force=True)
    assert docker.load(tmp_path / "saved.tar") == docker.load(iter([stream])) == ["localhost/whale:3"]
    docker.image.copy_from("localhost/whale:1", "/word", tmp_path / "word")
    assert (tmp_path / "word").read_text() == "spout\n"
    docker.image.copy_to("localhost/whale:1", tmp_path / "word", "/word2", "localhost/whale:4")
    docker.image.prune(filters=[("label", "nothing")])
    assert docker.buildx.is_installed()
    assert docker.buildx.version().startswith("tinybox buildx")
    assert [one.name for one in docker.buildx.list()] == [docker.buildx.inspect().name] == ["default"]
    docker.buildx.use("default")
    docker.buildx.stop("default")
    docker.buildx.prune(all=True)
    names = [f"localhost/whale:{number}" for number in range(1, 5)]
    docker.image.remove(names, force=True)
    assert docker.images("localhost/whale") == []


@story("""image.pull image.push login logout login_ecr buildx.imagetools.inspect buildx.imagetools.create""")
def test_a_registry(docker: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log in to a registry of this machine, push, give an image there another name, pull, log out."""
    with DockerRegistry(tmp_path / "registry") as registry:
        docker.login(registry.host, "ada", "secret")
        _play_amazon(monkeypatch, registry.host)
        docker.login_ecr()
        name = f"{registry.host}/whale"
        docker.tag("busybox", f"{name}:1")
        docker.push(f"{name}:1", quiet=True)
        known = docker.buildx.imagetools.inspect(f"{name}:1")
        assert known.config.digest == docker.image.inspect("busybox").id
        docker.buildx.imagetools.create([f"{name}:1"], tags=[f"{name}:2"])
        assert docker.buildx.imagetools.inspect(f"{name}:2") == known
        _join(docker, registry.host, tmp_path)
        docker.image.remove(f"{name}:1")
        pulled = docker.pull(f"{name}:2", quiet=True)
        assert pulled.id == docker.image.inspect("busybox").id
        docker.image.remove(f"{name}:2")
        docker.logout(registry.host)
        with pytest.raises(DockerException):  # the control: a name that the registry does not have
            docker.pull(f"{name}:3", quiet=True)


def _join(docker: Recorded, host: str, tmp_path: Path) -> None:
    """Make an index of two images in another repository of the registry, which gets their layers by name only."""
    with tarfile.open(tmp_path / "small.tar", "w") as archive:
        archive.add(__file__, "file")
    small = docker.import_(tmp_path / "small.tar", tag=f"{host}/small:1")
    docker.push(f"{host}/small:1", quiet=True)
    sources, both = [f"{host}/small:1", f"{host}/whale:1"], f"{host}/both:1"
    tools = docker.buildx.imagetools
    planned = tools.create(sources, tags=[both], dry_run=True)
    assert [entry.platform.os for entry in planned.manifests] == ["linux", "linux"]
    with pytest.raises(DockerException):  # the control: --dry-run has changed nothing
        tools.inspect(both)
    tools.create(sources, tags=[both])
    assert tools.inspect(both) == planned
    assert docker.pull(both, quiet=True).id == small.id  # the first one for this platform
    with pytest.raises(DockerException):
        tools.create(sources, tags=["localhost:1/elsewhere:1"])
    docker.image.remove([both, f"{host}/small:1"])


def _play_amazon(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Let the library botocore, which asks Amazon, answer with a password for the registry at *host*."""
    token = base64.b64encode(b"ada:secret").decode()
    answer = {"authorizationData": [{"authorizationToken": token, "proxyEndpoint": host}]}
    client = SimpleNamespace(get_authorization_token=lambda: answer)
    session = ModuleType("botocore.session")
    session.get_session = lambda: SimpleNamespace(create_client=lambda *_, **__: client)  # type: ignore[attr-defined]
    library = ModuleType("botocore")
    library.session = session  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "botocore", library)
    monkeypatch.setitem(sys.modules, "botocore.session", session)


@story("""volume.create volume.copy volume.clone volume.exists volume.inspect volume.list volume.remove volume.prune
       network.create network.connect network.disconnect network.exists network.inspect network.list network.remove
       network.prune""")
def test_volumes_and_networks(docker: Recorded, tmp_path: Path) -> None:
    """Volumes keep and copy files; a box is connected to a network, and disconnected."""
    volume = docker.volume.create("whale", labels={"a": "b"})
    assert properties(volume)["labels"] == {"a": "b"}
    (tmp_path / "file").write_text("text")
    docker.volume.copy(tmp_path / "file", ("whale", "file"))
    docker.volume.clone("whale", "whale-2")
    assert (docker.volume.inspect("whale-2").mountpoint / "file").read_text() == "text"
    assert (docker.volume.exists("whale"), docker.volume.exists("nothing")) == (True, False)
    with pytest.raises(NoSuchVolume):
        docker.volume.inspect("nothing")
    assert [one.name for one in docker.volume.list(filters=[("label", "a=b")])] == ["whale"]
    docker.volume.remove(["whale"])
    docker.volume.prune(all=True)
    assert docker.volume.list(filters=[("name", "whale")]) == []
    network = docker.network.create("whale", labels={"a": "b"}, subnet="172.30.99.0/24", gateway="172.30.99.1")
    assert properties(network)["ipam"].config == [{"Subnet": "172.30.99.0/24", "Gateway": "172.30.99.1"}]
    box = docker.container.create("busybox", ["true"], name="whale", networks=["whale"])
    docker.network.disconnect("whale", "whale")
    docker.network.connect("whale", "whale", alias="db", ip="172.30.99.7")
    assert box.network_settings.networks["whale"].aliases == ["db"]
    docker.container.remove("whale")
    assert (docker.network.exists("whale"), docker.network.exists("nothing")) == (True, False)
    with pytest.raises(NoSuchNetwork):
        docker.network.inspect("nothing")
    assert [one.name for one in docker.network.list(filters=[("label", "a=b")])] == ["whale"]
    assert docker.network.inspect(["whale"])[0].id == network.id
    docker.network.remove(["whale"])
    docker.network.create("whale")
    docker.network.prune()
    assert not docker.network.exists("whale")


@story("system.disk_free system.events system.info system.prune version")
def test_the_system(docker: Recorded) -> None:
    """What the store holds, what has happened, and what this host is; then all that is not used goes."""
    box = docker.container.create("busybox", ["true"], name="whale-new")
    assert docker.system.disk_free().containers.total_count >= 1
    events = docker.system.events(
        since=timedelta(minutes=1), until=datetime.now(UTC), filters={"container": "whale-new"}
    )
    assert [(event.type, event.action, event.actor.id) for event in events] == [("container", "create", box.id)]
    known = docker.info()
    assert (known.swarm.local_node_state, known.containers >= 1, known.default_runtime) == ("inactive", True, "tinybox")
    assert docker.version().client.version == __version__
    docker.system.prune(filters={"label": "nothing"})
    assert docker.container.exists("whale-new")
    docker.container.remove("whale-new")


COMPOSE = """
services:
  web:
    build: {context: ., args: {WORD: spout}}
    image: localhost/whale-web
    command: [sh, -c, "trap 'exit 0' TERM; cat /word; while :; do sleep 0.1; done"]
    stop_grace_period: 2s
    ports: ["127.0.0.1::80"]
  job: {image: localhost/whale-web, command: "true", profiles: [jobs]}
"""


@story("""compose.build compose.config compose.create compose.down compose.events compose.execute compose.is_installed
       compose.kill compose.logs compose.ls compose.pause compose.port compose.ps compose.pull compose.push
       compose.restart compose.rm compose.run compose.start compose.stop compose.unpause compose.up compose.version""")
def test_compose(docker: Recorded, seen: set[str], folder: Path, tmp_path: Path) -> None:
    """A project is built, pushed, made, started, looked at, changed and removed."""
    with DockerRegistry(tmp_path / "registry") as registry:
        (folder / "compose.yml").write_text(COMPOSE.replace("localhost", registry.host))
        client = DockerClient(compose_files=[folder / "compose.yml"], compose_project_name="whale")
        compose = Recorded(client, seen, calls()).compose
        assert compose.is_installed()
        assert compose.version()
        assert compose.config().services["web"].image == f"{registry.host}/whale-web"
        compose.build(["web"], quiet=True)
        compose.push(["web"])
        compose.pull(["web"], quiet=True)
        _live(docker, client, compose)
        docker.image.remove(f"{registry.host}/whale-web")


def _live(docker: Recorded, client: DockerClient, compose: Recorded) -> None:
    compose.create()
    _read_events(client, compose)
    [box] = compose.ps()
    assert box.config.labels["com.docker.compose.service"] == "web"
    assert [(project.name, project.running) for project in compose.ls(filters={"name": "whale"})] == [("whale", 1)]
    assert compose.execute("web", ["cat", "/word"], tty=False) == "spout"
    assert "spout" in compose.logs(["web"])
    assert compose.port("web", 80)[0] == "127.0.0.1"
    compose.pause()
    assert docker.container.inspect(box.id).state.paused
    compose.unpause()
    compose.kill()
    compose.up(detach=True, quiet=True, pull="never")
    assert compose.run("job", ["echo", "hi"], remove=True, tty=False) == "hi"
    compose.stop(timeout=1)
    compose.rm()
    compose.down(volumes=True, quiet=True)
    assert compose.ps(all=True) == []


def _read_events(client: DockerClient, compose: Recorded) -> None:
    """Start the project while its events are read; the command that prints them has no end of its own."""
    found: list[Any] = []

    def read() -> None:
        with contextlib.suppress(DockerException):  # it was killed
            for event in client.compose.events():
                found.append(event)  # noqa: PERF402  the other thread looks at it meanwhile

    before = _children("events")
    with ThreadPoolExecutor() as workers:
        reading = workers.submit(read)
        until(lambda: _children("events") - before)
        [reader] = _children("events") - before
        compose.start()
        until(lambda: compose.restart(timeout=1) or found)
        os.kill(reader, signal.SIGTERM)
        reading.result()
    assert {(event.service, event.type) for event in found} == {("web", "container")}
    compose._seen.add("compose.events")


def _children(word: str) -> set[int]:
    """Return the pids of the children of this process that have the argument *word*; see proc_pid_task(5)."""
    files = Path("/proc/self/task").glob("*/children")
    pids = {pid for file in files for pid in file.read_text().split()}
    return {int(pid) for pid in pids if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")}
