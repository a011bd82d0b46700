"""The corpus of hostile archives, built header by header: numbers, records, sparse maps, names, compressed streams."""

from __future__ import annotations

import gzip
import os
import tarfile

from tests.support.image_archives import Member, archive, directory, hard_link, regular, symlink

END = bytes(1024)
ONE = archive([regular("f")], tarfile.USTAR_FORMAT)


def record(key: bytes, value: bytes) -> bytes:
    """Return one record of a PAX header, ``LENGTH KEY=VALUE`` and a newline; see pax(1)."""
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def block(kind: bytes, data: bytes, name: str = "p") -> bytes:
    """Return a header of this *kind* with its *data*, such as records or a long name."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


def pax(*records: bytes, kind: bytes = b"x", then: bytes = ONE) -> bytes:
    """Return an archive with a PAX header of these *records* before the member *then*."""
    return block(kind, b"".join(records)) + then


def patched(changes: dict[int, bytes], then: bytes = END, kind: bytes = b"0") -> bytes:
    """Return a header in which the bytes at some offsets are replaced, with a correct check sum."""
    info = tarfile.TarInfo("f")
    info.type = kind
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    for at, value in changes.items():
        header[at : at + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + then


def _deep(parts: int) -> str:
    return "/".join(["d"] * parts)


_OLD_SPARSE = b"%011o\0%011o\0" % (0, 512)
_SPARSE_1_0 = (record(b"GNU.sparse.major", b"1"), record(b"GNU.sparse.minor", b"0"))
_VALUES: tuple[tuple[bytes, bytes], ...] = (
    *((b"size", value) for value in (b"-5", b"1.5", b"nan", b"9" * 900)),
    *((b"mtime", value) for value in (b"nan", b"inf", b"1e308", b"-1e308", b"x", b"1e18", b"9" * 240_000)),
    *((b"uid", value) for value in (b"-1", b"1e3", b"9" * 20)),
    *((b"path", value) for value in (b"", b"\xff\xfe", b"a\nb", b"\x1b]0;t\x07", b"a" * 300, b"a/" * 3000, b"../x")),
    *((b"path", value) for value in (b"/x", b"a/" * 30_000, b"a\0b")),
    (b"linkpath", b"x" * 5000),
    (b"hdrcharset", b"x"),
    *((b"SCHILY.xattr." + name, b"v") for name in (b"", b"user.", b"user.\xff", b"user." + b"n" * 300)),
    (b"SCHILY.xattr.security.capability", b"x"),
    (b"SCHILY.xattr.trusted.overlay.opaque", b"y"),
    (b"comment", b"c" * 250_000),
    (b"GNU.sparse.map", b"9" * 240_000),
    (b"GNU.sparse.map", b",".join([b"1"] * 100_000)),
)
ARCHIVES: dict[str, bytes] = {
    "digits, no records": pax(b"9" * 250_000),
    "rows of digits": pax(*(record(b"k%d" % number, b"9" * 1000) for number in range(230))),
    "many records": pax(*(record(b"k%d" % number, b"v") for number in range(15_000))),
    "records without an end": pax(b"12 path=abcde"),
    "a record of length 0": pax(b"0 a=b\n"),
    "a record of length -5": pax(b"-5 a=b\n"),
    "a record that is too short": pax(b"3 a=b\n"),
    "a record that is too long": pax(b"9999999 a=b\n"),
    "a chain of PAX headers": block(b"x", record(b"a", b"b")) * 3000 + ONE,
    "many global headers": block(b"g", record(b"k", b"v" * 60_000)) * 50 + ONE,
    "half a PAX header": pax(record(b"path", b"x"))[:700],
    "sparse 0.0": pax(*[record(b"GNU.sparse.offset", b"1"), record(b"GNU.sparse.numbytes", b"1")] * 4000),
    "sparse 0.0, no numbers": pax(record(b"GNU.sparse.offset", b"x"), record(b"GNU.sparse.numbytes", b"")),
    "sparse 1.0, digits": pax(*_SPARSE_1_0, then=archive([regular("f", b"9" * 250_000 + b"\n")])),
    "sparse 1.0, many": pax(*_SPARSE_1_0, then=archive([regular("f", b"99999999999\n" + b"1\n" * 100_000)])),
    "sparse 1.0, negative": pax(*_SPARSE_1_0, then=archive([regular("f", b"-1\n" + bytes(600))])),
    "old sparse": patched({386: _OLD_SPARSE * 4, 482: b"\1"}, bytes(504) + b"\1" + bytes(7) + END, b"S"),
    "old sparse, many": patched({482: b"\1"}, (_OLD_SPARSE * 21 + b"\1" + bytes(7)) * 2000, b"S"),
    "old sparse, no numbers": patched({386: b"x" * 24}, kind=b"S"),
    **{f"the number at {at}: {value[:4]!r}": patched({at: value}) for at, value in (
        (100, b"7777777\0"), (100, b"zzzzzzz\0"), (108, b"\xff" * 8), (108, b"\x80" + b"\x7f" * 7), (124, b"\xff" * 12),
        (124, b"\x80" + b"\xff" * 11), (124, b"9999999999\0"), (136, b"\xff" * 12), (136, b"\x80" + b"\xff" * 11),
    )},
    **{f"the type {kind!r}": patched({156: kind}) for kind in (b"Z", b"V", b"M", b"N", b"D", b"A", b"L", b"K", b"x")},
    "no check sum": b"x" * 1536, "empty": b"", "zeros": END, "one block of zeros": bytes(512),
    "cut": archive([regular("f", b"x" * 5000)])[:2000],
    "nested directories": archive([directory(_deep(parts)) for parts in range(1, 1900, 7)]),
    "1900 parts": archive([regular(_deep(1900))]), "3000 parts": archive([regular(_deep(3000))]),
    "a long name": block(b"L", b"a" * 300_000) + ONE, "a name of slashes": block(b"L", b"a/" * 3000 + b"\0") + ONE,
    "a chain of long names": block(b"L", b"x\0") * 3000 + ONE, "a name of zeros": block(b"L", bytes(600)) + ONE,
    "a long name at the end": block(b"L", b"x"), "an empty long name": block(b"L", b"") + ONE,
    "a long link": block(b"K", b"b" * 5000) + archive([symlink("f", "x")]),
    "a link to itself": archive([hard_link("a", "a")]), "a link to nothing": archive([hard_link("a", "b")]),
    "a circle of links": archive([symlink("a", "b"), symlink("b", "a"), regular("a/x")]),
    "a link of 4096 bytes": archive([symlink("a", "x" * 4096)]), "an empty link": archive([symlink("a", "")]),
    "whiteouts": archive([regular(".wh.")]), "a whiteout of dots": archive([regular(".wh..")]),
    "a device": archive([Member("d", tarfile.CHRTYPE)]), "a fifo": archive([Member("d", tarfile.FIFOTYPE)]),
    "the same name": archive([regular("a")] * 2000), "no name": patched({0: bytes(100)}),
    "the root is a file": archive([regular(".")]), "only slashes": archive([directory("///")]),
    "an escape sequence": archive([regular("\x1b]0;t\x07/../x")]), "a newline": archive([regular("a\n/../b")]),
    "zeros in gzip": gzip.compress(bytes(50 << 20)),
    "half of gzip": gzip.compress(archive([regular("f", os.urandom(5000))]))[:3000],
    **{f"junk {magic!r}": magic + b"x" * 600 for magic in (b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")},
    **{f"{key[:40]!r}={value[:9]!r} ({len(value)})": pax(record(key, value)) for key, value in _VALUES},
    **{f"global {key[:40]!r}={value[:9]!r} ({len(value)})": pax(record(key, value), kind=b"g")
       for key, value in _VALUES},
}  # fmt: skip
