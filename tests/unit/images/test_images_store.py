"""The image store: look-up, layers shared by content, names that move, and no half-made object is ever visible."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

import pytest

from tests.support.boxes import PATIENCE
from tests.support.image_archives import archive, directory, regular, symlink
from tinybox.errors import HostError, ImageError, UsageError
from tinybox.images.intake import import_archive, workspace
from tinybox.images.removal import remove
from tinybox.images.store import ANNOTATION, Store

ROOTFS = archive([directory("bin"), regular("bin/sh", b"#!", mode=0o755), symlink("sh", "bin/sh")])
OTHER = archive([directory("bin"), regular("bin/sh", b"another", mode=0o755)])
CONFIG = {"Cmd": ["/bin/sh"], "Env": ["A=b"]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a store that does not exist yet."""
    return Store(str(tmp_path / "store"))


def tar(store: Store, content: bytes = ROOTFS) -> str:
    """Write *content* to a file beside the store and return its path."""
    path = Path(store.root).with_name("archive.tar")
    path.write_bytes(content)
    return str(path)


def files(store: Store, name: str) -> list[str]:
    """List a directory of the store."""
    return sorted(os.listdir(f"{store.root}/{name}"))


def test_an_import_makes_an_image(store: Store) -> None:
    """An imported archive is found by its name, with its layer's path, its config, its date and its size."""
    made = import_archive(store, tar(store), "box:1", CONFIG)
    image = store.image("box:1")
    assert image.id == made.id
    assert len(image.id) == 64
    assert (image.reference, image.config, image.size) == ("box:1", CONFIG, 2)
    assert image.created == "1970-01-01T00:00:00Z"
    (layer,) = image.layers
    assert Path(layer, "bin/sh").read_bytes() == b"#!"
    assert len(Path(layer).parent.name) == 16
    assert image.diff_ids[0].removeprefix("sha256:").startswith(Path(layer).parent.name)


def test_the_id_is_the_digest_of_the_record(store: Store) -> None:
    """The record is an OCI image config and its name is its own sha256, as in any OCI store."""
    image = import_archive(store, tar(store), "box", CONFIG)
    record = Path(store.root, "images", image.id)
    assert subprocess.run(["sha256sum", record], capture_output=True, check=True).stdout.decode().startswith(image.id)
    document = json.loads(record.read_text())
    assert document["rootfs"] == {"type": "layers", "diff_ids": image.diff_ids}
    assert document["os"] == "linux"


def test_an_open_file_may_be_a_pipe(store: Store) -> None:
    """An archive can come through a pipe, as from standard input."""
    with subprocess.Popen(["cat", tar(store, gzip.compress(ROOTFS))], stdout=subprocess.PIPE) as cat:
        image = import_archive(store, cat.stdout, "box")  # type: ignore[arg-type]
    assert Path(image.layers[0], "bin/sh").exists()


def test_a_look_up_opens_one_file() -> None:
    """`tinybox run` needs one readlink(2) and one open(2); control: the size, which it does not need, opens more."""
    program = """
import sys, tempfile
from tinybox.images.store import Store
opened = []
sys.addaudithook(lambda event, words: opened.append(words[0]) if event == "open" else None)
store = Store(sys.argv[1])
opened.clear()
image = store.image("box")
print(len(opened), image.size, len(opened))
"""
    with tempfile.TemporaryDirectory() as root:
        store = Store(f"{root}/store")
        import_archive(store, tar(store), "box")
        out = subprocess.run([sys.executable, "-c", program, store.root], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["1", "2", "2"]


COLLECTIONS = set("_collections _operator collections itertools keyword operator reprlib".split())  # namedtuple's


def test_looking_for_an_image_loads_no_heavy_module() -> None:
    """`tinybox run` loads no module of this package that only an import or a recipe needs."""
    program = "import sys; a = set(sys.modules); import tinybox.images.store; print(*sorted(set(sys.modules) - a))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    ours = {"tinybox", "tinybox.errors", "tinybox.images", "tinybox.images.reference", "tinybox.images.store"}
    ours |= {"tinybox.linux", "tinybox.linux.filesystem", "tinybox.linux.filesystem.locks"}
    assert (
        set(out.split()) <= ours | {"errno", "fcntl", "__future__", "tinybox.linux.quick_json", "_json"} | COLLECTIONS
    )


def test_content_is_stored_once(store: Store) -> None:
    """The same files, in any compression, are one layer; the same files and config are one image with two names."""
    first = import_archive(store, tar(store), "a", CONFIG)
    second = import_archive(store, tar(store, gzip.compress(ROOTFS)), "b", CONFIG)
    third = import_archive(store, tar(store), "c", {"Cmd": ["/bin/true"]})
    assert first.id == second.id != third.id
    assert first.layers == second.layers == third.layers
    assert len(files(store, "layers")) == 1
    assert [image.reference for image in store.images()] == ["a:latest", "b:latest", "c:latest"]
    fourth = import_archive(store, tar(store, OTHER), "a")
    assert fourth.layers != first.layers
    assert store.image("a").id == fourth.id


def test_an_image_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    """An id works in full, with sha256:, and shortened while it is unambiguous; a name has priority over an id."""
    image = import_archive(store, tar(store), "box")
    other = import_archive(store, tar(store, OTHER), "other")
    shortest = next(image.id[:length] for length in range(1, 64) if image.id[:length] != other.id[:length])
    for text in (image.id, f"sha256:{image.id}", image.id[:12], f"sha256:{image.id[:12]}", shortest):
        assert store.image(text).id == image.id
    store.tag("other", image.id[:12])
    assert store.image(image.id[:12]).id == other.id
    assert store.image(image.id[:13]).id == image.id


def test_an_ambiguous_id_is_an_error(store: Store) -> None:
    """A prefix of two ids is an error with that reason."""
    for number in range(17):
        import_archive(store, tar(store), f"box:{number}", {"Labels": {"number": str(number)}})
    initials = [image.id[0] for image in store.images()]
    twice = next(letter for letter in initials if initials.count(letter) > 1)
    with pytest.raises(ImageError, match="image ids begin so"):
        store.image(twice)


@pytest.mark.parametrize("text", ["nothing", "no/such:thing", "f" * 64, "sha256:abc", "b" * 70])
def test_an_unknown_image_is_named_with_a_cure(store: Store, text: str) -> None:
    """A missing image is an ImageError that names it and the cure, in an empty store and in a full one."""
    for _ in range(2):
        with pytest.raises(ImageError) as caught:
            store.image(text)
        assert text in caught.value.thing
        assert "tinybox images" in caught.value.cure
        import_archive(store, tar(store), "box")


def test_invalid_names_never_reach_the_disk(store: Store) -> None:
    """A name with `..` is refused before a path is made of it, for reading and for writing."""
    for text in ("../../etc/passwd", "a/../b", "", "A"):
        with pytest.raises(UsageError):
            store.image(text)
        with pytest.raises(UsageError):
            import_archive(store, tar(store), text)
    assert not os.path.exists(store.root)


def test_an_empty_store_lists_nothing(store: Store) -> None:
    """Listing does not make a store."""
    assert store.images() == []
    assert not os.path.exists(store.root)


def test_removing_a_name_keeps_the_image_until_the_last(store: Store) -> None:
    """One name of two is only untagged; with the last one image and layer are removed."""
    image = import_archive(store, tar(store), "host.example:5000/team/box:1")
    store.tag("host.example:5000/team/box:1", "two")
    assert remove(store, "two") == (["two:latest"], [])
    assert store.image("host.example:5000/team/box:1").id == image.id
    assert remove(store, "host.example:5000/team/box:1") == (["host.example:5000/team/box:1"], [image.id])
    assert [files(store, name) for name in ("names", "images", "layers", "tmp")] == [[], [], [], []]


def test_a_shared_layer_stays_with_its_last_image(store: Store) -> None:
    """Removing an image leaves the layer that another one lists."""
    import_archive(store, tar(store), "a", {"Cmd": ["a"]})
    import_archive(store, tar(store), "b", {"Cmd": ["b"]})
    remove(store, "a")
    assert Path(store.image("b").layers[0], "bin/sh").exists()
    remove(store, "b")
    assert files(store, "layers") == []


def test_an_id_with_several_names_is_not_removed(store: Store) -> None:
    """By its id an image is removed only if it has one name, or none."""
    image = import_archive(store, tar(store), "a")
    store.tag("a", "b")
    with pytest.raises(ImageError, match="several names: a:latest, b:latest"):
        remove(store, image.id)
    remove(store, "b")
    assert remove(store, image.id[:12]) == (["a:latest"], [image.id])


def test_an_image_without_a_name_is_listed_and_removed_by_id(store: Store) -> None:
    """An image whose name was given to another one stays until it is removed by its id."""
    old = import_archive(store, tar(store), "box")
    new = import_archive(store, tar(store, OTHER), "box")
    assert {image.id: image.reference for image in store.images()} == {old.id: "", new.id: "box:latest"}
    assert store.image(old.id).layers == old.layers
    assert remove(store, old.id[:12]) == ([], [old.id])


def test_a_used_image_is_not_removed(store: Store) -> None:
    """A container whose config.json names the image keeps it; one that names another image does not.

    The line has the twelve digits of an id that `ps` shows.
    """
    image = import_archive(store, tar(store), "box")
    for name, used in (("mine" * 16, image.id), ("other", "0" * 64)):
        container = Path(store.root, "containers", name)
        container.mkdir(parents=True)
        (container / "config.json").write_text(json.dumps({"annotations": {ANNOTATION: used}}))
    Path(store.root, "containers", "half-made").mkdir()
    with pytest.raises(ImageError, match=r"used by mineminemine \(first tinybox rm mineminemine\)"):
        remove(store, "box")
    store.tag("box", "more")
    assert remove(store, "more") == (["more:latest"], [])
    Path(store.root, "containers", "mine" * 16, "config.json").unlink()
    remove(store, "box")


def test_a_shared_lock_keeps_images(store: Store) -> None:
    """While a container is being made under the shared lock no image is removed; afterwards it can be."""
    import_archive(store, tar(store), "box")
    remover = threading.Thread(target=remove, args=[store, "box"])
    with store.locked(shared=True), store.locked(shared=True):
        remover.start()
        remover.join(0.1)
        assert remover.is_alive()
        assert store.image("box").reference == "box:latest"
    remover.join(PATIENCE)
    assert store.images() == []


def test_a_layer_is_closed_whatever_the_umask(store: Store) -> None:
    """Only root can reach a layer's files, which have the modes that the image gives them."""
    old = os.umask(0o077)
    try:
        image = import_archive(store, tar(store, archive([regular("implied/f")])), "box")
    finally:
        os.umask(old)
    layer = Path(image.layers[0])
    modes = [path.stat().st_mode & 0o777 for path in (layer, layer.parent, layer.parent.parent, Path(store.root))]
    assert modes == [0o755, 0o700, 0o700, 0o711]
    assert (layer / "implied").stat().st_mode & 0o777 == 0o755
    assert Path(store.root, "tmp").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (archive([regular("oci-layout", b"{}"), directory("blobs")]), "saved images"),
        (archive([regular("manifest.json", b"[]")]), "saved images"),
        (archive([]), "it is empty"),
        (b"", "tar"),
        (ROOTFS[:600], "cut short"),
    ],
)
def test_a_failed_import_leaves_nothing(store: Store, content: bytes, cause: str) -> None:
    """No name, record, layer or temporary file of a failed import; earlier ones do not change."""
    import_archive(store, tar(store), "box")
    before = [files(store, name) for name in ("names", "images", "layers", "tmp")]
    with pytest.raises(ImageError, match=cause):
        import_archive(store, tar(store, content), "box")
    assert [files(store, name) for name in ("names", "images", "layers", "tmp")] == before


def test_a_missing_archive_is_named(store: Store) -> None:
    """A path that cannot be opened is one line, not a traceback."""
    with pytest.raises(ImageError, match="No such file"):
        import_archive(store, "/no/such/file.tar", "box")
    with pytest.raises(ImageError, match="Is a directory"):
        import_archive(store, "/", "box")


def test_an_impossible_store_is_a_host_error(tmp_path: Path) -> None:
    """A store below a file cannot be made, and the error names the path."""
    (tmp_path / "file").touch()
    store = Store(str(tmp_path / "file" / "store"))
    with pytest.raises(HostError, match="cannot be made"):
        import_archive(store, tar(Store(str(tmp_path / "x"))), "box")


def test_a_collision_of_short_names_is_an_error(store: Store) -> None:
    """A layer whose short name belongs to another digest is not used for it."""
    image = import_archive(store, tar(store), "box")
    note = Path(image.layers[0]).with_name("layer.json")
    note.write_text(note.read_text().replace(image.diff_ids[0][-8:], "00000000"))
    with pytest.raises(ImageError, match="short name is taken"):
        import_archive(store, tar(store), "box2")
    assert [image.reference for image in store.images()] == ["box:latest"]


def test_a_lost_layer_and_a_torn_record_are_reported(store: Store) -> None:
    """Damage of the store is an ImageError with a cure, and the cure works."""
    image = import_archive(store, tar(store), "box")
    Path(image.layers[0]).rename(Path(image.layers[0]).with_name("elsewhere"))
    with pytest.raises(ImageError, match="a layer of it is missing"):
        store.image("box")
    remove(store, "box")
    image = import_archive(store, tar(store), "box")
    Path(store.root, "images", image.id).write_text("{")
    with pytest.raises(ImageError, match=r"damaged.*tinybox rmi"):
        store.image("box")
    remove(store, "box")
    assert files(store, "layers") == []


def importer(store: Store) -> subprocess.Popen[bytes]:
    """Start an import in another process, which waits for the rest of its archive in the middle of a file."""
    work = "import_archive(Store(sys.argv[1]), sys.stdin.buffer, 'half')"
    imports = "import sys; from tinybox.images.intake import import_archive; from tinybox.images.store import Store"
    program = f"{imports}; {work}"
    process = subprocess.Popen(
        [sys.executable, "-c", program, store.root], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin
    process.stdin.write(archive([directory("bin"), regular("bin/big", bytes(1 << 20))])[: 1 << 20])
    process.stdin.flush()
    deadline = time.monotonic() + PATIENCE
    while not waits_for_more(process) or not list(Path(store.root).glob("tmp/*/layer-0/fs/bin/big")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def waits_for_more(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether *process* has read all of its pipe and sleeps in read(2); only then a signal is handled at once."""
    assert process.stdin
    unread = struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)))[0]
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0]
    return bool(unread == 0 and state == "S")


def test_a_killed_import_is_swept_and_a_running_one_is_not(store: Store) -> None:
    """Files of a killed import are removed by the next one; the control: files of a running import stay."""
    with importer(store) as process:
        import_archive(store, tar(store), "box")
        (work,) = files(store, "tmp")
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert files(store, "tmp") == [work]
    import_archive(store, tar(store, OTHER), "other")
    assert files(store, "tmp") == []
    assert [image.reference for image in store.images()] == ["box:latest", "other:latest"]


def test_an_interrupted_import_cleans_up_itself(store: Store) -> None:
    """Ctrl-C in the middle of an archive leaves nothing."""
    with importer(store) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) != 0
    assert [files(store, name) for name in ("names", "images", "layers", "tmp")] == [[], [], [], []]


def test_orphaned_layers_and_unfinished_removals_are_swept(store: Store) -> None:
    """The remains of a commit or a removal that was killed between two steps are removed by the next import."""
    import_archive(store, tar(store), "box")
    for path in ("layers/0123456789abcdef/fs", "tmp/gone-0123456789abcdef/fs"):
        Path(store.root, path).mkdir(parents=True)
    Path(store.root, "tmp/name").symlink_to("../images/nothing")
    import_archive(store, tar(store), "box")
    assert len(files(store, "layers")) == 1
    assert files(store, "tmp") == []


def test_many_at_once_make_one_image(store: Store) -> None:
    """Eight imports of the same archive under eight names at the same time: one layer, one image, eight names."""
    path = tar(store)
    errors: list[BaseException] = []

    def import_one(number: int) -> None:
        try:
            import_archive(store, path, f"box:{number}")
            store.tag(f"box:{number}", "latest")
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=import_one, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(files(store, "layers")) == len(files(store, "images")) == 1
    assert len(files(store, "names")) == 9
    assert files(store, "tmp") == []


def test_a_list_during_changes_has_whole_images(store: Store) -> None:
    """While images are added and removed, a list has only complete images, and never fails."""
    import_archive(store, tar(store), "stays")
    done = threading.Event()

    def churn() -> None:
        for number in range(30):
            import_archive(store, tar(store, OTHER), "comes", {"Labels": {"n": str(number)}})
            remove(store, "comes")
        done.set()

    thread = threading.Thread(target=churn)
    thread.start()
    while not done.is_set():
        assert "stays:latest" in [image.reference for image in store.images()]
    thread.join()
    assert [image.reference for image in store.images()] == ["stays:latest"]


def test_a_workspace_is_gone_with_its_block(store: Store) -> None:
    """The directory belongs to its block, and is removed at its end, also after an error."""
    with workspace(store) as work:
        Path(work.path, "litter").touch()
        assert os.stat(work.path).st_mode & 0o777 == 0o700
    assert files(store, "tmp") == []
    with pytest.raises(ZeroDivisionError), workspace(store):
        1 / 0  # noqa: B018 - anything that goes wrong
    assert files(store, "tmp") == []
