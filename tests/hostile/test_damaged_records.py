"""Files of tinybox that were damaged: each is named in one line, others are listed, and nothing is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hostile import corpus
from tests.hostile.conftest import SOAK

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tests.hostile.conftest import Store

pytestmark = pytest.mark.root

DAMAGES: dict[str, object] = {**corpus.DAMAGED_TEXTS, **corpus.DAMAGED_FILES}
KINDS = list(DAMAGES) if SOAK else ["empty", "NaN", "another type", "a directory", "a fifo"]
LIVE = (
    "-v",
    "hostile:/v",
    "--health-cmd",
    "true",
    "--restart",
    "on-failure:3",
    "-p",
    "18099:80",
    "--stop-timeout",
    "1",
)


@pytest.fixture(scope="module")
def boxes(store: Store) -> Iterator[dict[str, str]]:
    """Make a box at rest that has written a file, and a running one with a volume, a network and a health check."""
    store("network", "create", "hostile")
    store("run", "--name", "rest", "busybox", "sh", "-c", "echo precious >/file")
    store("run", "-d", "--name", "live", "--network", "hostile", *LIVE, "busybox", "sleep", "10000")
    yield {name: os.readlink(f"{store.root}/container-names/{name}") for name in ("rest", "live")}
    store("rm", "-f", "live", "rest")
    store("network", "rm", "hostile")


def record(store: Store, container: str) -> str:
    """Return the path of the state.json of a box at rest."""
    return f"{store.root}/containers/{container}/state.json"


@pytest.mark.parametrize("kind", KINDS)
def test_a_box_whose_state_is_damaged_is_named_and_its_files_can_be_saved(
    store: Store, boxes: dict[str, str], kind: str
) -> None:
    """`ps -a` names it, and lists the others; `cp` copies its files; `start` refuses; nothing removes it by itself."""
    with corpus.damaged(record(store, boxes["rest"]), DAMAGES[kind]):  # type: ignore[arg-type]
        done = store("ps", "-a", "--format", "{{.Names}}")
        assert (done.status, done.stdout.split()) == (0, ["live"])
        assert done.stderr.startswith("tinybox: container rest: its state.json is damaged: "), done
        assert "its state.json is damaged" in store.refused("start", "rest", status=1)
        for words in (["stop", "rest"], ["wait", "rest"], ["restart", "rest"], ["inspect", "rest"]):
            assert store(*words).status == 1
        assert "precious" in store("cp", "rest:/file", "-").stdout
        assert store("commit", "rest", "saved").status == 0
        assert store("rmi", "saved").status == 0
        if SOAK or kind in ("empty", "a directory"):
            store("doctor", "--fix")
    assert store("ps", "-a", "--format", "{{.Names}}").stdout.split() == ["live", "rest"]
    assert "precious" in store("cp", "rest:/file", "-").stdout


@pytest.mark.parametrize("kind", KINDS)
def test_rm_f_removes_a_damaged_box(store: Store, boxes: dict[str, str], kind: str) -> None:
    """`rm -f` removes a box at rest whose state.json is damaged, and a running one, with its processes."""
    store("create", "--name", "bad", "busybox", "true")
    identity = os.readlink(f"{store.root}/container-names/bad")
    with corpus.damaged(record(store, identity), DAMAGES[kind]):  # type: ignore[arg-type]
        assert store("rm", "-f", "bad").status == 0
    assert not os.path.exists(f"{store.root}/containers/{identity}")
    store("run", "-d", "--name", "bad", "busybox", "sleep", "10000")
    identity = os.readlink(f"{store.root}/container-names/bad")
    pid = json.loads(Path(f"{store.root}/run/{identity}/state.json").read_text())["pid"]
    with corpus.damaged(f"{store.root}/run/{identity}/state.json", DAMAGES[kind]):  # type: ignore[arg-type]
        assert store("rm", "-f", "bad").status == 0
    assert not os.path.exists(f"/proc/{pid}")
    assert store("ps", "-a", "--format", "{{.Names}}").stdout.split() == ["live", "rest"]


FILES = [  # a file of the store, and commands that read it; LIVE, IMAGE and LAYER are replaced by their ids
    ("run/LIVE/state.json", "ps|inspect live|exec live true|logs live"),
    ("run/LIVE/network.json", "ps|inspect live|network ls|network inspect hostile"),
    ("run/LIVE/ports.json", "ps|port live|inspect live"),
    ("containers/LIVE/config.json", "ps -a --format {{.Mounts}}|inspect live|exec live true|volume ls|diff live"),
    ("containers/LIVE/container.log", "logs live|logs --tail 2 live"),
    ("networks/hostile.json", "network ls|network inspect hostile|ps --filter network=hostile"),
    ("volumes/hostile/volume.json", "volume ls|volume inspect hostile|volume ls --format {{.Labels}}"),
    ("images/IMAGE", "images|inspect busybox|ps -a|run --dry-run busybox true"),
    ("layers/LAYER/layer.json", "images|inspect busybox|images -q"),
    ("events.log", "events --since 1 --until 0.1s|create --name bad busybox|rm bad"),
]  # fmt: skip


def _path(store: Store, boxes: dict[str, str], name: str) -> str:
    for word in ("images", "layers"):
        name = name.replace(word[:-1].upper(), os.listdir(f"{store.root}/{word}")[0])
    return f"{store.root}/{name.replace('LIVE', boxes['live'])}"


@pytest.mark.parametrize(("name", "commands"), FILES, ids=[name for name, _ in FILES])
def test_no_damaged_file_of_the_store_ends_in_a_traceback(
    store: Store, boxes: dict[str, str], name: str, commands: str, chance: random.Random
) -> None:
    """Each file of the store in each state of damage: commands that read it end soon, with one line for each error."""
    path = _path(store, boxes, name)
    for kind in KINDS if SOAK else ["a fifo", *chance.sample(list(DAMAGES), 3)]:
        with corpus.damaged(path, DAMAGES[kind]):  # type: ignore[arg-type]
            for words in commands.split("|"):
                store(*words.split())
    assert store("ps", "-a", "--format", "{{.Names}}").stdout.split() == ["live", "rest"]


@pytest.mark.parametrize("name", [name for name, _ in FILES if name.endswith(".json") or "IMAGE" in name])
def test_no_value_of_another_type_ends_in_a_traceback(
    store: Store, boxes: dict[str, str], name: str, chance: random.Random
) -> None:
    """The same with one value of the file replaced by another, at any depth, also in an annotation that is JSON."""
    path = _path(store, boxes, name)
    found = list(corpus.mutations(json.loads(Path(path).read_text())))
    for _, document in found if SOAK else chance.sample(found, min(len(found), 8)):
        with corpus.damaged(path, json.dumps(document).encode()):
            for words in dict(FILES)[name].split("|"):
                store(*words.split())


def test_a_damaged_network_is_named_and_can_be_removed(store: Store) -> None:
    """`network ls` names it and lists the others, its name cannot be taken, and `network rm` removes its record."""
    store("network", "create", "bad")
    Path(store.root, "networks", "bad.json").write_text("[")
    done = store("network", "ls", "--format", "{{.Name}}")
    assert {"bridge", "host", "none"} <= set(done.stdout.split())
    assert "tinybox: network bad: its record is damaged: " in done.stderr
    assert "its record is damaged" in store.refused("run", "--rm", "--network", "bad", "busybox")
    assert store("network", "create", "bad").status == 1
    assert store("network", "rm", "bad").status == 0
    assert not os.path.exists(f"{store.root}/networks/bad.json")


def test_no_volume_is_removed_while_a_damaged_box_may_use_it(store: Store) -> None:
    """`volume rm` and `volume prune` name a box whose config.json does not tell, and refuse, until `rm -f` of it."""
    store("create", "--name", "bad", "-v", "kept:/v", "busybox")
    identity = os.readlink(f"{store.root}/container-names/bad")
    Path(store.root, "containers", identity, "config.json").write_text("{")
    assert f"container {identity[:12]} may use it" in store.refused("volume", "rm", "kept", status=1)
    assert f"container {identity[:12]} may use it" in store.refused("volume", "prune", "-af", status=1)
    assert "kept" in store("volume", "ls", "-q").stdout.split()
    assert store("rm", "-f", "bad").status == 0
    assert store("volume", "rm", "kept").status == 0


def test_a_box_of_a_dead_owner_stays_when_its_record_is_damaged(store: Store) -> None:
    """The clean-up after a killed monitor does not take a box with a damaged state.json for one that is half-made."""
    store("run", "-d", "--name", "bad", "busybox", "sh", "-c", "echo precious >/file; sleep 10000")
    identity = os.readlink(f"{store.root}/container-names/bad")
    state = json.loads(Path(f"{store.root}/run/{identity}/state.json").read_text())
    monitor = int(Path(f"/proc/{state['pid']}/stat").read_text().rpartition(") ")[2].split()[1])
    Path(record(store, identity)).write_text("{")
    os.kill(monitor, 9)
    for _ in range(2):
        assert "its state.json is damaged" in store("ps", "-a").stderr
    assert "precious" in store("cp", "bad:/file", "-").stdout
    assert store("rm", "-f", "bad").status == 0
