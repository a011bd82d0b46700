"""ADD unpacks local archives and fetches URLs; a damaged, hostile or wrong file is an error of one line."""

from __future__ import annotations

import bz2
import email.utils
import gzip
import hashlib
import http.server
import lzma
import os
import tarfile
import threading
from typing import TYPE_CHECKING

import pytest
import zstandard

from tests.support.build_copies import copies
from tests.support.image_archives import Member, archive, directory, hard_link, regular, symlink
from tinybox.build.files import copying, fetching
from tinybox.errors import HostError, ImageError, TinyboxError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.build_copies import Copies

__all__ = ["copies"]

pytestmark = pytest.mark.root  # owners are set

MEMBERS = [
    directory("d", mode=0o711, uid=3, gid=4),
    regular("d/f", b"content", mode=0o640, uid=7, gid=8, mtime=1000),
    symlink("d/l", "/f"),
    hard_link("d/h", "d/f"),
    regular(".wh.d", b"no whiteout"),
]


def zstd(data: bytes) -> bytes:
    """Compress by zstd."""
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd])
@pytest.mark.parametrize("target", ["/t", "/t/", "/link/sub", "."])
def test_an_archive_is_unpacked(copies: Copies, pack: Callable[[bytes], bytes], target: str) -> None:
    """Of any compression and name: with owners, modes, times and links, into a directory, which is made."""
    (copies.context / "data.bin").write_bytes(pack(archive(MEMBERS)))
    (copies.root / "link").symlink_to("/real")
    copies.workdir = "/w"
    copies(f"ADD data.bin {target}")
    top = {"/link/sub": "real/sub", ".": "w"}.get(target, "t")
    assert copies.tree(top) == {
        "d": "drwx--x--x 3:4",
        "d/f": "-rw-r----- 7:8",
        "d/h": "-rw-r----- 7:8",
        "d/l": "lrwxrwxrwx 0:0",
        ".wh.d": "-rw-r--r-- 0:0",
    }
    assert (copies.root / top / "d/f").samefile(copies.root / top / "d/h")
    assert (copies.root / top / "d/f").stat().st_mtime == 1000


def test_a_copy_of_an_archive_is_a_file(copies: Copies) -> None:
    """COPY never unpacks, and ADD does not with --unpack=false; in a directory an archive stays an archive."""
    data = archive(MEMBERS)
    (copies.context / "d").mkdir()
    for name in ("a.tar", "d/a.tar"):
        (copies.context / name).write_bytes(data)
    copies("COPY a.tar /1/")
    copies("ADD --unpack=false a.tar /2/")
    copies("ADD d /3/")
    assert sorted(copies.tree()) == ["1", "1/a.tar", "2", "2/a.tar", "3", "3/a.tar"]


@pytest.mark.parametrize(
    "data", [b"", b"text", gzip.compress(b"text"), b"\x1f\x8b broken", bytes(1024), bytes(100_000)]
)
def test_a_file_that_is_no_archive_is_copied(copies: Copies, data: bytes) -> None:
    """Its content decides, not its name."""
    (copies.context / "a.tar.gz").write_bytes(data)
    copies("ADD a.tar.gz /t/")
    assert (copies.root / "t/a.tar.gz").read_bytes() == data


def test_chown_counts_for_the_members_of_an_archive(copies: Copies) -> None:
    """As in docker, and for the directory that is made."""
    (copies.context / "a.tar").write_bytes(archive(MEMBERS))
    copies("ADD --chown=5:6 a.tar /t/u")
    assert {word.split()[1] for word in copies.tree().values()} == {"5:6"}


def test_an_archive_is_merged_with_the_image(copies: Copies) -> None:
    """Directories are merged, a file replaces a file or a link, and devices are left out by name."""
    members = [*MEMBERS, regular("was-link", b"new"), Member("null", tarfile.CHRTYPE)]
    (copies.context / "a.tar").write_bytes(archive(members))
    (copies.root / "t/d").mkdir(parents=True)
    (copies.root / "t/d/kept").touch()
    (copies.root / "victim").write_text("old")
    (copies.root / "t/was-link").symlink_to("../victim")
    assert copies("ADD a.tar /t") == ["null"]
    assert sorted(copies.tree("t/d")) == ["f", "h", "kept", "l"]
    assert (copies.root / "t/was-link").read_text() == "new"
    assert (copies.root / "victim").read_text() == "old"


@pytest.mark.parametrize(
    ("members", "end"),
    [
        ([regular("../../outside/x")], "leads outside with"),
        ([regular("/x")], "its name is absolute"),
        ([symlink("out", "../../outside"), regular("out/x")], "it ended well"),
        ([symlink("out", "/../outside"), regular("out/x")], "it ended well"),
        ([hard_link("h", "../../outside/victim")], "leads outside with"),
        ([hard_link("h", "/outside/victim")], "its name is absolute"),
        ([symlink("l", "/outside/victim"), hard_link("h", "l"), regular("h")], "it ended well"),
    ],
)
def test_a_hostile_archive_writes_nothing_outside(copies: Copies, members: list[Member], end: str) -> None:
    """By names, links and hard links: a name that leads out is an error of one line, a link leads inside the root."""
    (copies.outside / "victim").write_text("old")
    (copies.context / "a.tar").write_bytes(archive(members))
    try:
        copies("ADD a.tar /t/")
    except TinyboxError as error:
        line = str(error)
    else:
        line = "Containerfile:1: ADD: it ended well"
    assert line.startswith("Containerfile:1: ADD: ")
    assert end in line
    assert "\n" not in line
    assert os.listdir(copies.outside) == ["victim"]
    assert (copies.outside / "victim").read_text() == "old"


def test_a_damaged_archive_is_one_line(copies: Copies) -> None:
    """A file whose first member is whole, and whose rest is not."""
    (copies.context / "a.tgz").write_bytes(gzip.compress(archive([regular("f", os.urandom(50_000))]))[:30_000])
    with pytest.raises(ImageError, match=r"Containerfile:1: ADD: .*(damaged|cut short)"):
        copies("ADD a.tgz /t")
    (copies.root / "file").touch()
    (copies.context / "good.tar").write_bytes(archive(MEMBERS))
    with pytest.raises(UsageError, match="/file: a file is in its path there"):
        copies("ADD good.tar /file")


# URLs.

CONTENT = b"from the web" * 1000
DATE = 1_000_000_000  # seconds


class Site(http.server.BaseHTTPRequestHandler):
    """Answers that a test asks for by the path."""

    asked: list[str]

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        name = self.path.rpartition("/")[2].partition("?")[0]
        if name == "moved":
            self._answer(302, b"", {"Location": "/file.txt"})
        elif name == "missing":
            self._answer(404, b"")
        elif name == "short" or (name == "broken-once" and self.asked.count(self.path) == 1):
            self._answer(200, CONTENT[:100], {"Content-Length": str(len(CONTENT))})
        elif name == "a.tar":
            self._answer(200, archive(MEMBERS))
        elif name == "odd-date":
            self._answer(200, CONTENT, {"Last-Modified": "yesterday"})
        else:
            self._answer(200, CONTENT, {"Last-Modified": email.utils.formatdate(DATE, usegmt=True)})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a `Site` on loopback, and give its address."""
    monkeypatch.setattr(fetching, "PAUSE", 0.01)
    Site.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_url_becomes_a_file(copies: Copies, site: str) -> None:
    """Of mode 600, with the server's time, by its name in the URL or the target's; once for the digest and the copy."""
    with copies.source() as source:
        request = copies.request(f"ADD {site}/x/file.txt?query=1 /d/")
        first = copying.digest(request, source)
        copies.copy_of(request, source)
    assert copies.tree("d") == {"file.txt": "-rw------- 0:0"}
    assert (copies.root / "d/file.txt").read_bytes() == CONTENT
    assert (copies.root / "d/file.txt").stat().st_mtime == DATE
    assert Site.asked == ["/x/file.txt?query=1"]
    copies(f"ADD --chmod=644 --chown=5 {site}/moved /named")
    assert copies.tree()["named"] == "-rw-r--r-- 5:5"
    assert copies.digest(f"ADD {site}/x/file.txt?query=1 /d/") == first
    copies(f"ADD {site}/odd-date /d/")
    assert (copies.root / "d/odd-date").stat().st_mtime > DATE


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/..%2f..%2foutside%2fvictim", "victim"), ("/x%00y", ""), ("/%2e%2e", ""), ("/a%0ab", "a\nb"), ("/a/", "")],
)
def test_the_name_in_a_url_never_leads_out(copies: Copies, site: str, path: str, name: str) -> None:
    """Its last part counts, without its percent signs; one that is no name is an error of one line."""
    (copies.outside / "victim").write_text("old")
    try:
        copies(f"ADD {site}{path} /d/")
    except UsageError as error:
        assert "there is no name of a file in it" in str(error)  # noqa: PT017 - some succeed
    assert os.listdir(copies.root / "d" if (copies.root / "d").exists() else copies.root) == ([name] if name else [])
    assert (copies.outside / "victim").read_text() == "old"


def test_an_archive_of_the_web_is_unpacked_only_if_asked(copies: Copies, site: str) -> None:
    """By --unpack."""
    copies(f"ADD {site}/a.tar /1/")
    copies(f"ADD --unpack {site}/a.tar /2/")
    assert sorted(copies.tree("1")) == ["a.tar"]
    assert sorted(copies.tree("2")) == [".wh.d", "d", "d/f", "d/h", "d/l"]


def test_a_checksum_is_checked_and_saves_the_digest_a_request(copies: Copies, site: str) -> None:
    """Another content is an error, and nothing is written."""
    right, wrong = hashlib.sha256(CONTENT).hexdigest(), "0" * 64
    copies.digest(f"ADD --checksum=sha256:{right} {site}/file.txt /")
    assert Site.asked == []
    copies(f"ADD --checksum=sha256:{right} {site}/file.txt /")
    with pytest.raises(ImageError, match=f"its checksum is sha256:{right}, not sha256:{wrong}"):
        copies(f"ADD --checksum=sha256:{wrong} {site}/file.txt /other")
    assert list(copies.tree()) == ["file.txt"]


@pytest.mark.parametrize(
    ("path", "kind", "cause"),
    [
        ("/missing", ImageError, "the server answers 404 Not Found"),
        ("/short", HostError, "it breaks off: .*, after 4 tries"),
        ("/", UsageError, "there is no name of a file in it"),
    ],
)
def test_a_failing_url_is_one_line(copies: Copies, site: str, path: str, kind: type[TinyboxError], cause: str) -> None:
    """It names the URL, and nothing is written."""
    with pytest.raises(kind, match=cause) as caught:
        copies(f"ADD {site}{path} /d/")
    assert str(caught.value).startswith(f"Containerfile:1: ADD: {site}{path}: ")
    assert "\n" not in str(caught.value)
    assert [word for name, word in copies.tree().items() if name != "d"] == []


def test_a_broken_answer_is_asked_for_again(copies: Copies, site: str) -> None:
    """Once more is enough here."""
    copies(f"ADD {site}/broken-once /f")
    assert (copies.root / "f").read_bytes() == CONTENT
    assert len(Site.asked) == 2


def test_a_server_that_is_not_there_and_a_url_with_a_password_are_one_line(copies: Copies) -> None:
    """No other scheme is tried, and the password is not shown."""
    with pytest.raises(HostError, match=r"ADD: http://127\.0\.0\.1:9/x: cannot be reached: Connection refused"):
        copies("ADD http://127.0.0.1:9/x /")
    with pytest.raises(UsageError, match="a URL with a user or a password is not fetched") as caught:
        copies("ADD http://me:hidden@127.0.0.1:9/x /")
    assert "hidden" not in str(caught.value)
