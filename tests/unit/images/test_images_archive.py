"""Good archives are unpacked unchanged; any other archive ends in one clear error and leaves no trace."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import shutil
import stat
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from tests.support.image_archives import Member, Place, archive, directory, hard_link, header, regular, symlink
from tinybox.errors import ImageError
from tinybox.images.archives import stream, tree

SMALL = archive([directory("d"), regular("d/f", b"x" * 3000), symlink("d/l", "f")])
NOISE = random.Random(1).randbytes(200_000)  # noqa: S311 - it only has to be hard to compress


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a directory to unpack into, beside one that must not change."""
    return Place(tmp_path)


# Files that an archive may contain.


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_good_archive_is_unpacked_unchanged(place: Place, form: int) -> None:
    """Contents, modes, times, links and fifos are kept, in each of the three forms of tar."""
    members = [
        directory("./", mode=0o750, mtime=7),
        directory("d", mode=0o2711, mtime=1000),
        regular("d/f", NOISE, mode=0o4755, mtime=2000),
        hard_link("d/h", "d/f"),
        symlink("d/l", "/etc/../nowhere", mtime=3000),
        Member("d/p", tarfile.FIFOTYPE, fields={"mtime": 4000, "mode": 0o600}),
        regular("implicit/parent/f", b""),
    ]
    unpacked = place.unpack(archive(members, form))
    inside = place.inside
    assert unpacked.size == len(NOISE)
    assert unpacked.newest == 4000
    assert (inside / "d/f").read_bytes() == NOISE
    assert [stat.S_IMODE((inside / name).stat().st_mode) for name in (".", "d", "d/f")] == [0o750, 0o2711, 0o4755]
    times = [int((inside / name).lstat().st_mtime) for name in (".", "d", "d/f", "d/l", "d/p")]
    assert times == [7, 1000, 2000, 3000, 4000]
    assert (inside / "d/h").samefile(inside / "d/f")
    assert os.readlink(inside / "d/l") == "/etc/../nowhere"  # unchanged: it is resolved in the container
    assert stat.S_ISFIFO((inside / "d/p").stat().st_mode)
    assert stat.S_IMODE((inside / "implicit").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "name", ["ä/漢字", "l" * 200 + "/" + "m" * 250 + "/" + "n" * 100, "bytes\udcff\udcfe", "two\nlines"]
)
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_are_bytes(place: Place, name: str, form: int) -> None:
    """Long names, names in any script and names that are not UTF-8 are kept byte by byte."""
    place.unpack(archive([regular(name, b"here"), symlink("link", name)], form))
    raw = name.encode("utf-8", "surrogateescape")
    with open(bytes(place.inside) + b"/" + raw, "rb") as file:
        assert file.read() == b"here"
    assert os.readlink(bytes(place.inside / "link")) == raw


def test_fractions_of_a_second_are_kept(place: Place) -> None:
    """A time in a PAX header keeps its fraction."""
    place.unpack(archive([regular("f", mtime=1234.5)]))
    assert (place.inside / "f").stat().st_mtime == 1234.5


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_any_compression_gives_the_same(place: Place, pack: type[bytes]) -> None:
    """However the archive is compressed, the diff id is the hash of the uncompressed data."""
    assert place.unpack(pack(SMALL)).diff_id == f"sha256:{hashlib.sha256(SMALL).hexdigest()}"
    assert (place.inside / "d/f").read_bytes() == b"x" * 3000


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_an_archive_may_be_compressed_in_pieces(place: Place, pack: type[bytes]) -> None:
    """Compressed pieces, cut in the middle of a header, are one archive, as parallel compressors write it."""
    assert place.unpack(pack(SMALL[:700]) + pack(SMALL[700:])).diff_id == f"sha256:{hashlib.sha256(SMALL).hexdigest()}"


def test_zstd_is_read_by_the_program_if_the_package_is_missing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package zstandard, zstd(1) unpacks a file; without both, the error names them."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = place.path / "small.zst"
    path.write_bytes(zstandard.compress(SMALL))
    with open(path, "rb") as source, stream.opened(source, 1 << 30) as read:
        assert read.diff_id() == f"sha256:{hashlib.sha256(SMALL).hexdigest()}"
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(Exception, match=r"zstandard.*zstd") as caught:
        place.unpack(path.read_bytes())
    assert not place.inside.exists()
    assert type(caught.value).__name__ == "HostError"


def test_the_later_member_wins(place: Place) -> None:
    """A name that comes twice is replaced, whatever it was; a directory that comes twice keeps its entries."""
    members = [
        *(regular("file", b"1"), regular("file", b"2")),
        *(directory("d/sub"), regular("d/sub/f"), regular("d", b"file now")),
        *(regular("f"), directory("f"), regular("f/in", b"in")),
        *(directory("kept", mode=0o700), regular("kept/f"), directory("kept", mode=0o711)),
    ]
    place.unpack(archive(members))
    assert (place.inside / "file").read_bytes() == b"2"
    assert (place.inside / "d").read_bytes() == b"file now"
    assert (place.inside / "f/in").read_bytes() == b"in"
    assert stat.S_IMODE((place.inside / "kept").stat().st_mode) == 0o711
    assert (place.inside / "kept/f").exists()


def test_a_link_that_stays_inside_is_followed(place: Place) -> None:
    """With ``bin -> usr/bin``, the member ``bin/sh`` goes to ``usr/bin``, as on a merged-usr system."""
    place.unpack(
        archive([directory("usr/bin"), symlink("bin", "usr/bin"), symlink("a", "usr/../bin"), regular("a/sh")])
    )
    assert (place.inside / "usr/bin/sh").is_file()
    assert (place.inside / "bin").is_symlink()


@pytest.mark.parametrize("last", [regular("l"), directory("l"), symlink("l", "x"), Member("l", tarfile.FIFOTYPE)])
@pytest.mark.parametrize("target", ["../outside/secret", "../outside"])
def test_a_link_outside_is_replaced_not_followed(place: Place, target: str, last: Member) -> None:
    """A member with the name of a link that leads outside replaces the link; the link's target does not change."""
    before = place.seen()
    place.unpack(archive([symlink("l", target), last]))
    assert place.seen() == before
    assert os.path.lexists(place.inside / "l")


def test_a_hard_link_to_a_link_does_not_lead_outside(place: Place) -> None:
    """A hard link to a symbolic link is one more link; writing to its name replaces it."""
    before = place.seen()
    place.unpack(archive([symlink("l", str(place.outside / "secret")), hard_link("h", "l"), regular("h")]))
    assert place.seen() == before
    assert (place.inside / "h").read_bytes() == b"evil"


# Each of these would write "evil" outside if it were unpacked without checks. Inside, it is where the link leads.

EVIL = {
    "through a link": ([symlink("a", "../outside"), regular("a/evil")], "outside/evil"),
    "through an absolute link": ([symlink("a", "/run"), regular("a/evil"), symlink("b", "OUTSIDE")], "run/evil"),
    "through a link that climbs": ([symlink("v/run", "../../../run"), regular("v/run/evil")], "run/evil"),
    "through two links": ([symlink("a", "b"), symlink("b", "../outside"), regular("a/evil")], "outside/evil"),
    "through a chain of climbing links": (
        [directory("d"), symlink("d/up", ".."), symlink("e", "d/up/.."), regular("e/outside/evil")], "outside/evil"
    ),
    "through a link below a link": (
        [symlink("a", "."), symlink("a/b", "../outside"), regular("a/b/c/evil")], "outside/c/evil"
    ),
    "directory through a link": ([symlink("a", "../outside"), directory("a/evil")], "outside/evil"),
    "link through a link": ([symlink("a", "../outside"), symlink("a/evil", "x")], "outside/evil"),
    "fifo through a link": ([symlink("a", "../outside"), Member("a/evil", tarfile.FIFOTYPE)], "outside/evil"),
    "late link for a directory": (
        [directory("a"), directory("a/b"), symlink("a", "../outside"), regular("a/evil")], "outside/evil"
    ),
    "magic link": ([symlink("a", "/proc/self/cwd"), regular("a/evil")], "proc/self/cwd/evil"),
    "hard link into a link": ([symlink("a", "../outside"), regular("f"), hard_link("a/evil", "f")], "outside/evil"),
    "hard link behind a link": (
        [directory("run"), regular("run/f"), symlink("a", "/run"), hard_link("evil", "a/f")], "evil"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("members", "where"), EVIL.values(), ids=EVIL.keys())
def test_a_link_leads_to_its_place_inside(place: Place, members: list[Member], where: str) -> None:
    """An absolute link begins at the root of the tree, ``..`` does not leave it, and a missing target is made."""
    before = place.seen()
    place.unpack(hostile(place, [regular("good"), *members]))
    assert place.seen() == before
    assert os.path.lexists(place.inside / where)
    assert not (place.inside / where).is_symlink() or (place.inside / where).readlink() == Path("x")
    for folder in (place.inside / where).parents:
        if folder.is_relative_to(place.inside) and folder != place.inside:
            assert not folder.is_symlink()
            assert stat.S_IMODE(folder.stat().st_mode) == 0o755  # with any umask


# Forbidden archives. Each of these would write "evil" outside, or worse, if it were unpacked without checks.

WAYS_OUT = {
    "absolute": [regular("/tmp/evil")],
    "absolute directory": [directory("/tmp/evil")],
    "dot dot": [regular("../outside/evil")],
    "dot dot in the middle": [directory("a"), regular("a/../../outside/evil")],
    "dot dot at the end": [directory("a"), directory("a/..", mode=0o777)],
    "links in a circle": [symlink("a", "b"), symlink("b", "a"), regular("a/evil")],
    "hard link absolute": [hard_link("h", "OUTSIDE/secret"), regular("h")],
    "hard link dot dot": [hard_link("h", "../outside/secret")],
    "hard link through a link": [symlink("a", "../outside"), hard_link("h", "a/secret")],
    "hard link to nothing": [hard_link("h", "missing")],
    "hard link to itself": [hard_link("h", "h")],
    "hard link to the root": [hard_link("h", ".")],
    "hard link to a directory": [directory("d"), hard_link("h", "d")],
    "whiteout of nothing": [regular(".wh.", b"")],
    "whiteout of dot": [regular(".wh..", b"")],
    "whiteout of dot dot": [regular("a/.wh...", b"")],
    "character device": [Member("null", tarfile.CHRTYPE, fields={"devmajor": 1, "devminor": 3})],
    "block device": [Member("disk", tarfile.BLKTYPE, fields={"devmajor": 8})],
    "unknown kind": [Member("odd", b"Q")],
    "root as a file": [regular(".")],
    "root as a link": [symlink(".", "../outside")],
    "below a file": [regular("f"), regular("f/g")],
    "name too long": [regular("n" * 300)],
    "zero byte in a name": [regular("f", pax_headers={"path": "a\0b"})],
    "zero byte in a directory's name": [directory("a"), regular("f", pax_headers={"path": "a\0b/f"})],
    "commands for overlayfs": [directory("d", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/"})],
    "commands for overlayfs, as a user": [directory("d", pax_headers={"SCHILY.xattr.user.overlay.opaque": "y"})],
    "owner that means no change": [regular("f", pax_headers={"uid": str(2**32 - 1)})],
    "owner below zero": [regular("f", pax_headers={"gid": "-5"})],
    "time that is no number": [regular("f", pax_headers={"mtime": "nan"})],
    "time beyond all times": [regular("f", pax_headers={"mtime": "1e300"})],
    "empty link": [symlink("l", "")],
    **{f"sparse file, {how}": [regular("f", listed.ljust(512, b"\0") + b"evil", pax_headers={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": size})]
       for how, listed, size in (
           ("backwards", b"2\n4\n2\n0\n2\n", "9"), ("below zero", b"1\n-4\n4\n", "9"),
           ("beyond its end", b"1\n8\n4\n", "9"), ("too little data", b"1\n0\n9999\n", "9999"),
           ("too much data", b"1\n0\n0\n", "9999"), ("a size below zero", b"1\n0\n4\n", "-4"))},
}  # fmt: skip


def refuse(place: Place, content: bytes, limit: int | None = 1 << 30) -> ImageError:
    """Unpack *content*, which must end in an ImageError, with nothing left inside and nothing changed outside."""
    before = place.seen()
    with pytest.raises(ImageError) as caught:
        place.unpack(content, limit)
    assert place.seen() == before
    assert not os.path.lexists(place.inside)
    assert caught.value.thing.startswith("archive")
    assert caught.value.cause
    return caught.value


def hostile(place: Place, members: list[Member]) -> bytes:
    """Build the archive, with the real path of ``outside``."""
    links = (member.link.replace("OUTSIDE", str(place.outside)) for member in members)
    return archive([member._replace(link=link) for member, link in zip(members, links, strict=True)])


@pytest.mark.parametrize("members", WAYS_OUT.values(), ids=WAYS_OUT.keys())
def test_an_escape_is_refused(place: Place, members: list[Member]) -> None:
    """No name, link, device or attribute leads outside, and the good members before it are removed again."""
    error = refuse(place, hostile(place, [regular("good"), *members]))
    assert "archive member" in error.thing


@pytest.mark.parametrize(
    "case", ["dot dot", "through a link", "through two links", "through a chain of climbing links"]
)
def test_the_escapes_are_real(place: Place, case: str) -> None:
    """The control: unpacked without checks, the same archives do write outside."""
    before = place.seen()
    place.inside.mkdir()
    members = EVIL[case][0] if case in EVIL else WAYS_OUT[case]
    with tarfile.open(fileobj=io.BytesIO(hostile(place, members))) as tar:
        tar.extractall(place.inside, filter="fully_trusted")  # noqa: S202 - this is the point
    assert place.seen() != before
    assert (place.outside / "evil").exists()


GLOBAL = tarfile.TarInfo.create_pax_global_header({f"k{i}": "v" * 1000 for i in range(70)})
END = bytes(1024)
LIES = {
    "size beyond the disk": header("f", tarfile.REGTYPE, 1 << 62) + END,
    "size beyond the archive": header("f", tarfile.REGTYPE, 1 << 20) + END,
    "size below zero": header("f", tarfile.REGTYPE, -(1 << 20)) + END,
    "name of a gigabyte": header("f", tarfile.GNUTYPE_LONGNAME, 1 << 30) + END,
    "link of a gigabyte": header("f", tarfile.GNUTYPE_LONGLINK, 1 << 30) + END,
    "PAX header of a gigabyte": header("f", tarfile.XHDTYPE, 1 << 30) + END,
    "PAX header below zero": header("f", tarfile.XHDTYPE, -512) + END,
    "headers for headers for headers": (header("f", tarfile.XHDTYPE, 0)) * 5000 + SMALL,
    "large global header": GLOBAL + SMALL,
    "old sparse file": header("f", tarfile.GNUTYPE_SPARSE, 512) + bytes(512) + END,
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES.keys())
def test_a_lying_header_is_refused(place: Place, content: bytes) -> None:
    """A header that claims too much is refused before it gets memory or disk."""
    refuse(place, content)


def test_large_headers_are_not_read(place: Place) -> None:
    """A header is refused because of its size, before its data is read; the control: 200 KiB of headers are read."""
    for size in (1 << 20, -512):
        content = header("f", tarfile.XHDTYPE, size) + bytes(2 << 20) + SMALL
        assert "headers are larger" in refuse(place, content).cause
    assert "would not fit" in refuse(place, LIES["size beyond the disk"]).cause
    place.unpack(archive([regular("f", pax_headers={"comment": "x" * 200_000})]))


def test_a_replaced_directory_s_mode_is_not_set_through_its_link(place: Place) -> None:
    """The mode of a directory that a link has replaced is not set; the control: that of a directory that stayed is."""
    members = [directory("a", mode=0o700), directory("b", mode=0o750), symlink("a", "b")]
    place.unpack(archive(members))
    assert stat.S_IMODE((place.inside / "b").stat().st_mode) == 0o750


DAMAGE = {
    "nothing": b"",
    "noise": NOISE,
    "noise in gzip": gzip.compress(NOISE),
    "a script": b"#!/bin/sh\n" * 100,
    "cut in the data": SMALL[:2000],
    "cut between members": SMALL[:512],
    "cut in a header": SMALL[:4096 + 600],
    "noise after a member": SMALL[:512] + NOISE[:1024],
    "gzip cut": gzip.compress(SMALL + NOISE)[:-100],
    "gzip without its sum": gzip.compress(SMALL)[:-8],
    "bzip2 cut": bz2.compress(SMALL)[:-10],
    "xz cut": lzma.compress(SMALL)[:-10],
    "zstd cut": zstandard.compress(SMALL)[:-10],
    "gzip with a wrong byte": gzip.compress(SMALL + NOISE)[:-3] + b"x\0\0",
    "xz with a wrong byte": lzma.compress(archive([regular("f", NOISE)])).replace(NOISE[500:504], b"xxxx"),
    "zstd with a wrong byte": zstandard.compress(archive([regular("f", NOISE)]))[:3000],
}  # fmt: skip


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_refused(place: Place, content: bytes) -> None:
    """An archive that is cut short, corrupt or not an archive at all leaves nothing."""
    refuse(place, content)


def test_a_zip_file_is_refused(place: Place) -> None:
    """Another kind of archive is recognized as not tar."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as other:
        other.writestr("f", "x" * 2000)
    assert "tar" in str(refuse(place, packed.getvalue()))


def test_the_error_names_the_member(place: Place) -> None:
    """One line names the member, the reason, and the cure."""
    content = archive([Member("dev/null", tarfile.CHRTYPE)])
    assert str(refuse(place, content)) == (
        "archive member 'dev/null': it is a device node (leave /dev out of the archive: tar --exclude='./dev/*')"
    )


def test_a_bomb_stops_at_the_limit(place: Place) -> None:
    """Ten megabytes of zeros in ten kilobytes are refused if the limit is lower, and accepted if it is higher."""
    bomb = gzip.compress(archive([regular("f", bytes(10 << 20))]))
    refuse(place, bomb, limit=1 << 20)
    refuse(place, gzip.compress(SMALL + bytes(10 << 20)), limit=1 << 20)
    assert place.unpack(bomb, limit=11 << 20).size == 10 << 20


def test_entries_are_counted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many entries are refused; directories that names imply count like explicit ones."""
    monkeypatch.setattr(tree, "ENTRIES_MAX", 10)
    refuse(place, archive([regular(f"f{i}", b"") for i in range(11)]))
    refuse(place, archive([regular("a/b/c/d/e/f/g/h/i/j/k", b"")]))
    place.unpack(archive([regular(f"f{i}", b"") for i in range(10)]))


def test_a_whiteout_without_a_file_below_is_a_device(place: Place) -> None:
    """``.wh.NAME`` becomes overlayfs's whiteout, a character device 0:0; but a file of the same layer stays."""
    if not takes_whiteouts(place.path):
        assert "store on ext4" in refuse(place, archive([regular(".wh.gone", b"")])).cure
        return
    place.unpack(archive([regular(".wh.gone", b""), regular("own", b"x"), regular(".wh.own", b"")]))
    status = (place.inside / "gone").lstat()
    assert stat.S_ISCHR(status.st_mode)
    assert status.st_rdev == 0
    assert (place.inside / "own").read_bytes() == b"x"
    assert sorted(os.listdir(place.inside)) == ["gone", "own"]


def takes_whiteouts(path: Path) -> bool:
    """Tell whether a whiteout can be made at *path*; on overlayfs it cannot, because it would hide itself."""
    try:
        os.mknod(path / "probe", stat.S_IFCHR, 0)
    except PermissionError:
        return False
    return True


def test_flipped_bits(place: Place) -> None:
    """With any bits of an archive changed, it is unpacked or it is an ImageError; nothing else, and no trace."""
    dice = random.Random(7)  # noqa: S311 - repeatable
    whole = archive(
        [directory("d"), regular("d/f", b"x" * 600), symlink("l", "d"), regular("l/g"), hard_link("h", "d/f")]
    )
    before = place.seen()
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(dice.choice([1, 2, 30])):
            content[dice.randrange(len(content) // 3)] ^= 1 << dice.randrange(8)
        mend(content)
        try:
            place.unpack(bytes(content), 1 << 20)
        except ImageError:
            assert not place.inside.exists()
        else:
            shutil.rmtree(place.inside)
        assert place.seen() == before


def mend(content: bytearray) -> None:
    """Correct the checksum of every header, so that headers with changed bits are read at all."""
    for start in range(0, len(content) - 511, 512):
        if content[start + 257 : start + 262] == b"ustar":
            block = content[start : start + 512]
            block[148:156] = b" " * 8
            struct.pack_into("8s", content, start + 148, b"%06o\0 " % sum(block))
