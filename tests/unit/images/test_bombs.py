"""Small files that would take much memory or time, or cause a traceback: each ends at once in one clear error."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import resource
import subprocess
import sys
import tarfile
import time
import zlib
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.boxes import patience
from tests.support.image_archives import Place, archive, header, regular
from tests.support.slowness import SLOWNESS
from tinybox.compose import order
from tinybox.compose.reading import document, dotenv, overriding
from tinybox.compose.reading.service import Service
from tinybox.container.config import option_values
from tinybox.container.process import wait_loop
from tinybox.errors import ImageError, UsageError
from tinybox.images import intake, loading
from tinybox.images.archives import stream
from tinybox.images.intake import import_archive
from tinybox.images.store import Store
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = archive([regular("f", b"x" * 3000)])
SOON = 20.0 * SLOWNESS  # seconds; without limits these files take hours, or the memory of the machine


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a directory to unpack into."""
    return Place(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a store that does not exist yet."""
    return Store(str(tmp_path / "store"))


def refuse(place: Place, content: bytes) -> str:
    """Assert that the archive is refused soon, and leaves nothing; return the message."""
    with patience(SOON), pytest.raises(ImageError) as caught:
        place.unpack(content)
    assert not place.inside.exists()
    return str(caught.value)


# Unpacking.


def xz_of(bits: int) -> bytes:
    """Pack the small archive, and claim a window of 2 or 3 << (bits / 2 + 11) bytes; see xz's file format."""
    packed = bytearray(lzma.compress(SMALL, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]))
    end = 12 + (packed[12] + 1) * 4  # of the block's header, after that of the stream
    at = packed.index(b"\x21\x01", 12, end) + 2  # filter LZMA2, one byte of properties
    packed[at] = bits
    packed[end - 4 : end] = zlib.crc32(packed[12 : end - 4]).to_bytes(4, "little")
    return bytes(packed)


def zstd_of(window_log: int) -> bytes:
    """Return the small archive as one zstd frame of one raw block, with a window of 2**window_log; see RFC 8878."""
    block = (len(SMALL) << 3 | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd" + bytes([0, (window_log - 10) << 3]) + block + SMALL


@pytest.mark.parametrize("content", [xz_of(32), xz_of(40), zstd_of(28), zstd_of(31)], ids="xz xz4G zstd zstd2G".split())
def test_a_window_that_is_too_large_is_refused(place: Place, content: bytes) -> None:
    """An archive of some hundred bytes that would take 256 MiB to 4 GiB of memory is refused with that reason."""
    assert "needs more than 128 MiB of memory" in refuse(place, content)


@pytest.mark.parametrize("content", [xz_of(30), zstd_of(27)], ids=["xz", "zstd"])
def test_a_large_window_is_accepted(place: Place, content: bytes) -> None:
    """The control: 128 MiB, more than ``xz -9`` and as much as ``zstd --ultra -22`` need, are accepted."""
    assert place.unpack(content).size == 3000


@pytest.mark.parametrize("window_log", [27, 28])
def test_the_program_zstd_has_the_same_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_log: int) -> None:
    """If zstd(1) unpacks, it has the same limit, and its error message becomes the one line."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "small.zst").write_bytes(zstd_of(window_log))
    with open(tmp_path / "small.zst", "rb") as source, stream.opened(source, 1 << 30) as read:
        if window_log == 27:
            assert read.diff_id() == f"sha256:{hashlib.sha256(SMALL).hexdigest()}"
            return
        with pytest.raises(ImageError, match="needs more than 128 MiB of memory"):
            read.diff_id()


def test_xz_streams_with_padding_are_read_whole(place: Place) -> None:
    """Streams, one after the other, with padding between and after them are one archive; other bytes are damage."""
    first, second = lzma.compress(SMALL[:700]), lzma.compress(SMALL[700:])
    content = first + bytes(8) + second + bytes(4)
    assert place.unpack(content).diff_id == f"sha256:{hashlib.sha256(SMALL).hexdigest()}"
    (place.path / "again").mkdir()
    again = Place(place.path / "again")
    assert "damaged" in refuse(again, content + b"garbage")


# Headers in which tarfile would search for hours.


def pax(body: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Return a PAX header with *body*."""
    return header("pax", kind, len(body)) + body + bytes(-len(body) % tarfile.BLOCKSIZE)


def record(key: str, value: str) -> bytes:
    """Return one PAX record; see pax(1)."""
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"1" * 250_000, "no list of records"),
        (record("comment", "1" * 250_000), "digits in a row"),
        (b"2 " * 120_000 + b"=", "no list of records"),
        (b"5 a=\n" * 10 + b"0 a=\n", "no list of records"),
        (b"99999999999999999999 a=b\n", "no list of records"),
        (b"9 noequal\n", "no list of records"),
        (b"5 a=b", "no list of records"),
    ],
    ids="digits value short zero long equals newline".split(),
)
def test_a_header_that_takes_hours_is_refused(place: Place, kind: bytes, body: bytes, says: str) -> None:
    """A quarter of a megabyte took minutes or 16 GB: rows of digits, and records shorter than their keys."""
    assert says in refuse(place, pax(body, kind) + SMALL)


def test_a_good_header_is_accepted(place: Place) -> None:
    """The control: long values, values with newlines, equals signs and a thousand digits are read."""
    values = {"comment": "x=1\n" * 50_000, "SCHILY.xattr.user.number": "1" * 1000}
    place.unpack(archive([regular("f", b"", pax_headers=values)]))
    assert os.path.isfile(place.inside / "f")


def test_global_headers_without_values_are_counted(place: Place) -> None:
    """A global header applies to all later members; a thousand of them with keys and no values would be gigabytes."""
    many = [pax(b"".join(record(f"{n}.{m}", "") for m in range(4000)), tarfile.XGLTYPE) for n in range(3)]
    assert "global headers" in refuse(place, b"".join([*many, SMALL]))


# Saved images.


def load(store: Store, files: dict[str, bytes]) -> list[str]:
    """Load an archive of *files*, within the time limit."""
    content = archive([regular(name, content) for name, content in files.items()])
    with patience(SOON):
        return loading.load(store, cast("io.BufferedReader", io.BufferedReader(io.BytesIO(content))))


def refuse_load(store: Store, files: dict[str, bytes]) -> str:
    """Assert that *files* are refused, and leave nothing behind; return the message."""
    with pytest.raises((ImageError, UsageError)) as caught:
        load(store, files)
    assert [os.listdir(f"{store.root}/{name}") for name in ("images", "layers", "names", "tmp")] == [[], [], [], []]
    return str(caught.value)


class Layout:
    """An OCI image layout under construction: blobs by their digests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, content: Any) -> dict[str, Any]:
        """Add a blob, a document unless it is bytes; return its descriptor."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}"}

    def image(self, layers: int = 1, **changes: Any) -> dict[str, Any]:
        """Add a good image that lists its one layer *layers* times; return the descriptor of its manifest."""
        diff_id = f"sha256:{hashlib.sha256(SMALL).hexdigest()}"
        config = {"config": {"Cmd": ["x"]}, "rootfs": {"type": "layers", "diff_ids": [diff_id] * layers}, **changes}
        return self.add({"config": self.add(config), "layers": [self.add(SMALL)] * layers})

    def whole(self, *manifests: dict[str, Any]) -> dict[str, bytes]:
        """Return all files of a layout that lists *manifests*."""
        return {**self.files, "index.json": json.dumps({"manifests": manifests}).encode()}


def test_nested_indexes_are_each_read_once(store: Store) -> None:
    """Twelve levels of indexes, each of which lists the next one ten times, are 10**12 paths to one image."""
    layout = Layout()
    inner = layout.image()
    for _ in range(12):
        inner = layout.add({"manifests": [inner] * 10})
    assert len(load(store, layout.whole(*[inner] * 10))) == 1


def test_indexes_have_a_limit(store: Store) -> None:
    """A chain of thousands of indexes is walked without recursion; too many descriptors are refused."""
    layout = Layout()
    inner = layout.image()
    for _ in range(1500):
        inner = layout.add({"manifests": [inner]})
    assert len(load(store, layout.whole(inner))) == 1
    wide = Layout()
    many = [wide.add({"manifests": [{"digest": "sha256:0"}] * 4000, "n": n}) for n in range(3)]
    assert "lists more" not in refuse_load(Store(f"{store.root}-2"), wide.whole({"digest": "sha256:0"}))
    indexes = [wide.add({"manifests": [*many, *[{"digest": "x", "platform": {"architecture": "z"}}] * 9000]})]
    assert "list more than 10000" in refuse_load(Store(f"{store.root}-2"), wide.whole(*indexes, *many * 2000))


def test_one_blob_is_unpacked_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often images list a layer, and however many images, it is unpacked once; too many layers are refused."""
    unpacked: list[str] = []
    add = intake.add_layer

    def noted(work: Any, source: str, number: int, **options: Any) -> Any:
        unpacked.append(source)
        return add(work, source, number, **options)

    monkeypatch.setattr(intake, "add_layer", noted)
    layout = Layout()
    images = [layout.image(layers, author=str(layers)) for layers in (1, 2, 100)]
    assert len(load(store, layout.whole(*images))) == 3
    assert len(unpacked) == 1
    assert "more than 128 layers" in refuse_load(Store(f"{store.root}-2"), Layout.whole(layout, layout.image(129)))


def test_an_image_that_is_listed_twice_has_both_names(store: Store) -> None:
    """The control: the same manifest under two names is one image with both."""
    layout = Layout()
    image = layout.image()
    named = [{**image, "annotations": {"io.containerd.image.name": name}} for name in ("a:1", "b:2")]
    assert load(store, layout.whole(*named)) == ["a:1", "b:2"]
    assert store.image("a:1").id == store.image("b:2").id


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"manifests": [' + b" " * (5 << 20) + b"]}", "larger than 4 MiB"),
        (b'{"manifests": [' + b"1" * 5000 + b"]}", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "no object"),
        (b'{"manifests": 5}', "manifests is no list"),
        (b'{"manifests": [5]}', "manifests[0] is no object"),
        (b'{"manifests": [{"digest": 5}]}', "manifests[0].digest is no text"),
        (b'{"manifests": [{"digest": "sha256:0", "annotations": [1]}]}', "annotations is no object"),
    ],
    ids="deep large number bytes list five fives digest annotations".split(),
)
def test_a_malformed_index_is_one_line(store: Store, index: bytes, says: str) -> None:
    """Wrong nesting, size, numbers and types are named."""
    assert says in refuse_load(store, {"index.json": index})


def test_the_store_checks_every_config(store: Store) -> None:
    """Not only load: a config of import, a recipe or commit is checked against the same shape; no trace is left."""
    for config in ({"Cmd": [1]}, {"Env": "A=b"}, {"Labels": {"a": 5}}):
        path = f"{store.root}.tar"
        with open(path, "wb") as file:
            file.write(SMALL)
        with pytest.raises(ImageError, match="image config: config"):
            import_archive(store, path, "bad:1", config)
        assert [os.listdir(f"{store.root}/{name}") for name in ("images", "layers", "names", "tmp")] == [[], [], [], []]
    assert import_archive(store, path, "good:1", {"Cmd": ["x"]}).config == {"Cmd": ["x"]}


def values(luck: Any, depth: int = 0) -> Any:
    """Return any value of JSON."""
    kind = luck.randrange(8 if depth < 3 else 6)
    simple = (None, 5, -1.5, "text", True, "\0")
    if kind < 6:
        return simple[kind]
    if kind == 6:
        return [values(luck, depth + 1) for _ in range(luck.randrange(3))]
    return {luck.choice(("digest", "Cmd", "x")): values(luck, depth + 1) for _ in range(luck.randrange(3))}


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a tree of JSON: the container, and its key or index."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from places(tree[key])


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_random_values_are_accepted_or_one_line(tmp_path: Path, kind: str) -> None:
    """Two hundred archives a format, each with one wrong value in one document: a good image, or one clear error."""
    import random

    luck = random.Random(21)  # noqa: S311  the same values each time
    config: dict[str, Any] = {
        "created": "2020-01-01T00:00:00Z", "architecture": "amd64", "author": "me", "history": [{"created_by": "x"}],
        "config": {"Cmd": ["x"], "Env": ["A=b"], "Entrypoint": ["e"], "User": "0", "Labels": {"a": "b"},
                   "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "WorkingDir": "/", "StopSignal": "TERM",
                   "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5}},
    }  # fmt: skip
    for number in range(200):
        layout, store = Layout(), Store(str(tmp_path / str(number % 10)))
        layout.image(**config)
        documents = {name: json.loads(text) for name, text in layout.files.items() if text[:1] == b"{"}
        by_kind = {"config" if "rootfs" in each else "manifest": each for each in documents.values()}
        first = {"manifests": [{"digest": "?", "annotations": {"a": "b"}, "platform": {"architecture": None}}]}
        by_kind["index"] = first if kind == "oci" else [{"Config": "c", "Layers": ["l"], "RepoTags": ["a:1"]}]
        chosen = by_kind[luck.choice([*by_kind])]
        inside, key = luck.choice([*places(chosen)])
        inside[key] = values(luck)
        files = written(by_kind, kind)
        try:
            for name in load(store, files):
                image = store.image(name.removeprefix("sha256:"))
                assert not quick_json.misfit(image.config, {"Cmd": [str], "Labels": {"*": str}})
        except (ImageError, UsageError) as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said
        assert os.listdir(f"{store.root}/tmp") == []
        store.images(damaged=lambda error: pytest.fail(str(error)))


def written(by_kind: dict[str, Any], kind: str) -> dict[str, bytes]:
    """Return the files of an archive with these documents, whose digests lead from one to the next if they can."""
    layout = Layout()
    if kind == "docker":
        return {
            "manifest.json": json.dumps(by_kind["index"]).encode(), "c": json.dumps(by_kind["config"]).encode(),
            "l": SMALL,
        }  # fmt: skip
    layout.add(SMALL)
    manifest = by_kind["manifest"]
    if isinstance(manifest.get("config"), dict) and isinstance(manifest["config"].get("digest"), str):
        manifest["config"] = layout.add(by_kind["config"])
    descriptor = layout.add(manifest)
    index = json.dumps(by_kind["index"]).replace('"?"', json.dumps(descriptor["digest"]))
    return {**layout.files, "index.json": index.encode()}


# Compose files.


def read(tmp_path: Path, text: str, variables: dict[str, str] | None = None) -> document.Field:
    """Read a compose file of this *text*, within the time limit."""
    path = tmp_path / "compose.yaml"
    path.write_text(text)
    with patience(SOON):
        return document.read(str(path), variables or {})


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(8)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ALIASES, "more than 100000 values"),
        ("a: &a {x: 1}\nb: {<<: [" + "*a," * 60_000 + "]}", "more than 100000 values"),
        ("a: &a '" + "x" * 500_000 + "'\nb: [" + "*a," * 100 + "]", "longer than 16 MiB"),
        ("a: &a ['${LONG}']\nb: [" + "*a," * 300 + "]", "longer than 16 MiB"),
        ("a: ${LONG}${LONG}", "more than 128 KiB"),
        ("a: " + "${A:-" * 2000 + "}" * 2000, "are nested"),
        ("a: " + "[" * 5000, "is nested too deeply"),
        ("a: &a [*a]", "is nested too deeply"),
        ("#" * (2 << 20), "larger than 1 MiB"),
        ('a: "\\U00110000"', "cannot be read"),
        ("{a: b}: c", "a key that is no text"),
        ("? [a]\n: c", "a key that is no text"),
    ],
    ids="aliases merges repeated filled doubled defaults deep circle large character map list".split(),
)
def test_a_compose_file_that_grows_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Nine lines of aliases are 10**9 values; so are merges, variables, nesting and an excessive size."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text, {"LONG": "x" * 100_000})
    assert says in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_aliases_are_expanded(tmp_path: Path) -> None:
    """The control: aliases of a few thousand values are expanded; long keys cost nothing."""
    found = read(tmp_path, "".join(ALIASES.splitlines(keepends=True)[:3]) + f"? {'k' * 100_000}\n: [{'x,' * 2000}]\n")
    assert len(found.mapping()["c"].entries()) == 10
    assert [field.text() for field in found.mapping()["c"].entries()[9].entries()[9].entries()] == ["x"] * 10


def test_lists_of_two_files_are_merged_in_linear_time(tmp_path: Path) -> None:
    """Merging forty thousand items with forty thousand others does not take quadratic time."""
    base, over = (read(tmp_path, f"a: [{','.join(f'{n}.{m}' for m in range(40_000))}]") for n in range(2))
    with patience(SOON):
        assert len(overriding.merged(base, over).mapping()["a"].entries()) == 80_000


def test_a_long_chain_of_services_is_ordered() -> None:
    """Five thousand services, each of which needs the next, are ordered; if the last needs the first, it is a cycle."""
    services = {f"s{n}": service(f"s{n}", f"s{n + 1}") for n in range(5000)} | {"s5000": service("s5000")}
    with patience(SOON):
        assert [each.name for each in order.ordered(services, services)][:2] == ["s5000", "s4999"]
    services["s5000"].depends_on["s0"] = "service_started"
    with patience(SOON), pytest.raises(UsageError, match="wait for one another"):
        order.ordered(services, services)


def service(name: str, *others: str) -> Service:
    """Return a service that depends on *others*."""
    made = Service.__new__(Service)
    made.name, made.place, made.depends_on, made.optional = name, "compose.yaml:1", dict.fromkeys(others, ""), set()
    return made


# Files of variables.


def dotenv_of(tmp_path: Path, text: str) -> dict[str, str | None]:
    """Read a .env file of this *text*, within the time limit."""
    (tmp_path / ".env").write_text(text)
    with patience(SOON):
        return dotenv.read(str(tmp_path / ".env"), {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A0=0123456789\n" + "".join(f"A{n + 1}=${{A{n}}}$A{n}\n" for n in range(40)), "more than 128 KiB"),
        ("A='\n" + "x\n" * 300_000, "is not closed"),
        ('A="\n' + "\\\\\n" * 200_000, "is not closed"),
        ("A=" + " " * 200_000 + "x y\n-", "is not NAME=VALUE"),
        ("A=b\n" * (3 << 20), "larger than 8 MiB"),
    ],
    ids="doubled open escaped blanks large".split(),
)
def test_a_file_of_variables_that_grows_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Forty lines that double a variable are 10**13 bytes; an open quote was once searched for again in each line."""
    with pytest.raises(UsageError, match=says):
        dotenv_of(tmp_path, text)


def test_many_variables_are_read_in_linear_time(tmp_path: Path) -> None:
    """The control: thirty thousand variables, and a value over thirty thousand lines, with its quotes."""
    text = "".join(f"A{n}=$A{n - 1}.\n" if n % 100 else f"A{n}=\n" for n in range(30_000))
    text += "LONG='a  \n" + "it\\'s\n" * 30_000 + 'b\' # end\nTWO="x\\"\n\\\ny"\n'
    found = dotenv_of(tmp_path, text)
    assert found["A99"] == "." * 99
    assert found["LONG"] == "a  \n" + "it's\n" * 30_000 + "b"
    assert found["TWO"] == 'x"\n\\\ny'


def test_env_file_has_a_limit(tmp_path: Path) -> None:
    """--env-file reads no more than execve(2) accepts; the control: a smaller file."""
    with patience(SOON), pytest.raises(UsageError, match="larger than 8 MiB"):
        option_values.environment([], ["/dev/zero"])
    (tmp_path / "env").write_text("A=b\r\n\n# no\n C=d\n")
    assert option_values.environment([], [str(tmp_path / "env")]) == {"A": "b", "C": "d"}


def test_an_alarm_in_a_hundred_days_is_waited_for_in_parts() -> None:
    """A health check every 2400 hours is more milliseconds than poll(2) can count: this once ended the monitor."""
    watch = wait_loop.WaitLoop.__new__(wait_loop.WaitLoop)
    watch.alarms = [(time.monotonic() + 1e9, lambda: None)]
    patience_of_poll = watch.timeout()
    assert patience_of_poll is not None
    assert patience_of_poll < 2**31


# JSON.


MALFORMED = ['{"a" 1}', "{", "[1,", '"open', '{"a": 1,}', "nul", "[" * 100_000, "[NaN]", "1" * 5000, '{"a": "\n"}']


def test_malformed_json_is_an_error_before_json_is_loaded() -> None:
    """Without json's Python module its C half raises SystemError, not JSONDecodeError: it becomes a ValueError."""
    program = """
import sys
from tinybox.linux import quick_json
for text in sys.stdin.read().split("|"):
    sys.modules.pop("json", None), sys.modules.pop("json.decoder", None)
    try:
        quick_json.loads(text)
    except ValueError as error:
        assert str(error), text
        continue
    raise SystemExit(f"{text[:20]} is taken")
"""
    done = subprocess.run([sys.executable, "-c", program], input="|".join(MALFORMED), capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_json_files_have_a_limit() -> None:
    """A JSON file is read up to its limit; a larger one is an error and takes no memory; the control: a smaller one."""
    with open("/dev/zero", encoding="ascii") as file, pytest.raises(ValueError, match="larger than 32 MiB"):
        quick_json.load(file)
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        quick_json.load(io.StringIO(f"[{' ' * (1 << 20)}]"), 1 << 20)
    assert quick_json.load(io.StringIO("[1]"), 3) == [1]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": None, "b": ["x"], "c": {"k": "v"}, "d": 1, "e": True, "other": [5], "r": ""}, ""),
        ({"r": "x"}, ""),
        ({}, "r is missing"),
        ({"r": None}, "r is missing"),
        ([], "it is no object"),
        (None, "it is no object"),
        ({"r": 1}, "r is no text"),
        ({"r": "x\0"}, "r is no text"),
        ({"r": "\ud800"}, "r is no text"),
        ({"r": "bytes\udcff"}, ""),
        ({"r": "", "b": "x"}, "b is no list"),
        ({"r": "", "b": ["x", None]}, "b[1] is no text"),
        ({"r": "", "c": {"k": 5}}, "c.k is no text"),
        ({"r": "", "c": {"k\0": "v"}}, "'k\\x00' is no text"),
        ({"r": "", "d": True}, "d is no whole number"),
        ({"r": "", "d": 1.5}, "d is no whole number"),
        ({"r": "", "e": 1}, "e is no true or false"),
    ],
)
def test_a_misfit_is_named(value: object, says: str) -> None:
    """A shape names each value that has another type than the shape allows."""
    shape = {"a": str, "b": [str], "c": {"*": str}, "d": int, "e": bool, "r!": str}
    assert quick_json.misfit(value, shape).endswith(says) if says else not quick_json.misfit(value, shape)


def test_memory_stays_small(tmp_path: Path) -> None:
    """All of these archives are refused by a process that may have 400 MiB: none of them gets the memory it claims."""
    contents = [xz_of(40), zstd_of(31), pax(b"2 " * 120_000 + b"=") + SMALL]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.tar").write_bytes(content)
    program = """
import sys
from tinybox.errors import ImageError
from tinybox.images.archives.archive import unpack
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as file:
            unpack(file, path + ".d", 1 << 30)
    except ImageError:
        continue
    raise SystemExit(f"{path} is taken")
"""
    most = 400 << 20
    done = subprocess.run(
        [sys.executable, "-c", program, *(str(tmp_path / f"{number}.tar") for number in range(len(contents)))],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)),
        capture_output=True, text=True, check=False, timeout=SOON,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
