"""Root obeys the files of a store: so tinybox refuses a store that another user could have filled."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.oci.conftest import runtime
from tests.support.boxes import new_name, one_line
from tinybox.container.records.paths import INSIDE, Paths
from tinybox.errors import HostError
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.oci_runtimes import Runtime

__all__ = ["runtime"]

pytestmark = pytest.mark.root

EVE = 65534
ALONE = "another user could make root run any program through it"


class Planted:
    """A store in a directory of its own, with a box that Eve has put there: its hook makes the file *mark*."""

    def __init__(self, tinybox: Command, place: Path) -> None:
        self.place, self.root, self.mark = place, place / "way" / "store", place / "mark"
        self.command = Command(self.root)
        self.name = new_name()
        assert tinybox("create", "--name", self.name, "busybox", "true").returncode == 0
        box = os.readlink(Path(tinybox.root, "container-names", self.name))
        self.root.mkdir(parents=True)
        for folder in set(INSIDE) - {"containers", "container-names"}:
            (self.root / folder).mkdir()
        shutil.copytree(Path(tinybox.root, "containers"), self.root / "containers", symlinks=True)
        shutil.copytree(Path(tinybox.root, "container-names"), self.root / "container-names", symlinks=True)
        assert tinybox("rm", self.name).returncode == 0
        self.config = self.root / "containers" / box / "config.json"
        config = json.loads(self.config.read_text())
        config["hooks"] = {"prestart": [{"path": "/bin/touch", "args": ["touch", str(self.mark)]}]}
        self.config.write_text(json.dumps(config))

    def refused(self, *parts: str, root: Path | None = None) -> None:
        """Assert that commands of every kind report the error in one line, and that no hook has run."""
        command = Command(root or self.root)
        verbs = ("ps", "start NAME", "exec NAME true", "inspect NAME", "rm -f NAME", "cp NAME:/etc -", "images",
                 "run --rm busybox true", "run --dry-run busybox true", "network ls", "volume ls", "pull busybox",
                 "commit NAME x", "prune -f")  # fmt: skip
        for verb in verbs:
            done = command(*verb.replace("NAME", self.name).split())
            one_line(done, 125 if done.returncode == 125 else 1, ALONE, *parts)
        assert not self.mark.exists()
        done = command("doctor")
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.startswith("problem store")


@pytest.fixture
def planted(tinybox: Command) -> Iterator[Planted]:
    """Give such a store, still owned by root."""
    with tempfile.TemporaryDirectory(prefix="tinybox-test-", dir="/var/tmp") as place:
        yield Planted(tinybox, Path(place))


def owned(path: str) -> Callable[[Planted], None]:
    """Return a change that gives *path*, below the store's directory, to Eve."""
    return lambda it: os.chown(it.place / path, EVE, EVE)


def mode(path: str, bits: int) -> Callable[[Planted], None]:
    """Return a change that gives *path*, below the store's directory, the mode *bits*."""
    return lambda it: (it.place / path).chmod(bits)


ATTACKS = {
    "a store that she has made": (owned("way/store"), "way/store: belongs to the user 65534"),
    "one that everyone can write": (mode("way/store", 0o777), "way/store: can be written by everyone"),
    "sticky is not enough for a store": (mode("way/store", 0o1777), "way/store: can be written by everyone"),
    "one that a group can write": (mode("way/store", 0o771), "way/store: can be written by the group"),
    "a directory on the way is hers": (owned("way"), "way: belongs to the user 65534"),
    "a directory on the way is open": (mode("way", 0o777), "way: can be written by everyone"),
    "the containers are hers": (owned("way/store/containers"), "containers: belongs to the user 65534"),
    "what is alive is hers": (owned("way/store/run"), "run: belongs to the user 65534"),
    "names are hers": (owned("way/store/container-names"), "container-names: belongs to the user 65534"),
    "the cache of filters is open": (mode("way/store/cache", 0o777), "cache: can be written by everyone"),
    "layers are open": (mode("way/store/layers", 0o777), "layers: can be written by everyone"),
    "blobs are hers": (owned("way/store/blobs"), "blobs: belongs to the user 65534"),
    "manifests are hers": (owned("way/store/manifests"), "manifests: belongs to the user 65534"),
    "the build cache is open": (mode("way/store/build-cache", 0o777), "build-cache: can be written by everyone"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_store_of_another_user_is_refused(planted: Planted, attack: str) -> None:
    """A user who can change the store, its content, or the way to it, gets no hook run: one line names that user."""
    act, part = ATTACKS[attack]
    act(planted)
    planted.refused(part)


def test_a_hook_of_root_runs(planted: Planted) -> None:
    """The control: the same store is used if root owns it, also in a directory such as /var/tmp."""
    mode("way", 0o1777)(planted)
    assert planted.command("start", planted.name).returncode == 0
    assert planted.mark.exists()
    assert planted.command("wait", planted.name).returncode == 0
    assert planted.command("rm", planted.name).returncode == 0


def test_links_on_the_path_are_checked(planted: Planted) -> None:
    """A link of Eve's to root's store is refused, and a link of root's to hers; a link of root's to root's is not."""
    links = planted.place / "links"
    links.mkdir()
    links.chmod(0o1777)
    link = links / "store"
    link.symlink_to("../way/store")
    assert planted.name in planted_names(link)
    os.lchown(link, EVE, EVE)
    planted.refused("links/store: belongs to the user 65534", root=link)
    os.lchown(link, 0, 0)
    links.chmod(0o777)
    planted.refused("links: can be written by everyone", root=link)
    links.chmod(0o755)
    owned("way")(planted)
    planted.refused("way: belongs to the user 65534", root=link)


def planted_names(root: Path) -> str:
    """Return the names of the boxes in the store at *root*."""
    done = Command(root)("ps", "-a", "--format", "{{.Names}}")
    assert done.returncode == 0, done
    return done.stdout


def test_a_config_of_another_user_is_not_obeyed(planted: Planted) -> None:
    """A store of root's has a config.json of Eve's: that box does not start, and it can be removed."""
    for owner, bits in ((EVE, 0o600), (0, 0o666)):
        os.chown(planted.config, owner, owner)
        planted.config.chmod(bits)
        for verb in ("start", "inspect"):
            done = planted.command(verb, planted.name)
            assert done.returncode != 0
            assert "config.json: another user can have written it" in done.stderr, done
            assert len(done.stderr.splitlines()) == 1, done
        assert not planted.mark.exists()
    assert planted.name in planted_names(planted.root)
    assert planted.command("rm", planted.name).returncode == 0
    assert planted_names(planted.root) == ""


def test_a_user_who_is_faster_than_root_is_noticed(tmp_path: Path) -> None:
    """In /var/tmp the first user makes the store: if that is Eve, between root's stat and mkdir, it is refused."""
    tmp_path.chmod(0o1777)
    paths, images = Paths(str(tmp_path / "store")), Store(str(tmp_path / "images"))
    for name in ("containers", "run", "container-names"):
        os.makedirs(f"{paths.root}/{name}")
    os.chown(paths.root, EVE, EVE)
    with pytest.raises(HostError, match=ALONE):
        paths.prepare()
    makedirs = os.makedirs

    def late(path: str, bits: int, *, exist_ok: bool) -> None:
        makedirs(path, bits, exist_ok=exist_ok)
        os.chown(path, EVE, EVE)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "makedirs", late)
        with pytest.raises(HostError, match=ALONE):
            images.locked()


def test_the_directory_of_an_engine_s_containers_is_checked(runtime: Runtime) -> None:
    """tinybox-oci refuses a --root of another user: `delete` would run the hooks that are recorded there."""
    runtime.program("true")
    runtime.root.mkdir(exist_ok=True)
    os.chown(runtime.root, EVE, EVE)
    for verb in ("start", "state", "delete", "kill", "exec", "create", "run"):
        bundle = ["--bundle", str(runtime.bundle)] if verb in ("create", "run") else []
        done = runtime(verb, *bundle, "box", *(["true"] if verb == "exec" else []))
        assert done.returncode != 0
        assert ALONE in done.stderr, done
    os.chown(runtime.root, 0, 0)
