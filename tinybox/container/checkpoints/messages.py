"""The messages of criu's protocol: protocol buffers, and the numbers that rpc.proto of criu gives to their fields.

A message is a sequence of fields. Each begins with a key: the number of the field, and the kind of its value. A value
is a number, in groups of seven bits with the lowest one first, or a length and as many bytes: a text, or one more
message. A field that is repeated is a list. So a few lines encode all that tinybox and criu say to one another.
"""

from __future__ import annotations

from tinybox.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Value = bool | int | str | bytes

DUMP, RESTORE, PRE_DUMP, NOTIFY, VERSION = 1, 2, 4, 6, 10  # criu_req_type
TYPE, OPTIONS, AGREED = 1, 2, 3  # the fields of criu_req
SUCCESS, NOTICE, REASON, RELEASE = 2, 5, 9, 10  # the fields of criu_resp that are read here, besides TYPE
SCRIPT, PID = 1, 2  # the fields of criu_notify
MAJOR, MINOR = 1, 2  # the fields of criu_version
IGNORE = 0  # criu_cg_mode: criu neither reads nor changes control groups
FIELDS = {  # of criu_opts
    "images_dir_fd": 1, "pid": 2, "leave_running": 3, "ext_unix_sk": 4, "tcp_established": 5, "shell_job": 7,
    "file_locks": 8, "log_level": 9, "log_file": 10, "notify_scripts": 12, "root": 13, "parent_img": 14,
    "track_mem": 15, "auto_dedup": 16, "work_dir_fd": 17, "link_remap": 18, "rst_sibling": 26, "inherit_fd": 27,
    "ext_masters": 30, "manage_cgroups_mode": 34, "external": 37, "tcp_skip_in_flight": 46, "orphan_pts_master": 50,
}  # fmt: skip
_NUMBER, _BYTES = 0, 2  # the kinds of values


def request(kind: int, options: dict[str, Value | list[bytes]] | None = None) -> bytes:
    """Return a request of this *kind* with *options*, whose names are those of criu_opts."""
    fields: list[tuple[int, Value]] = [(TYPE, kind)]
    if options is not None:
        listed = ((FIELDS[name], value if isinstance(value, list) else [value]) for name, value in options.items())
        fields.append((OPTIONS, encode((number, each) for number, values in listed for each in values)))
    return encode(fields)


def agreement() -> bytes:
    """Return the answer to a notice of criu, upon which it goes on."""
    return encode([(TYPE, NOTIFY), (AGREED, True)])


def inherited(key: str, fd: int) -> bytes:
    """Return the message that the file with this *key* in a checkpoint is the descriptor *fd* of criu's process."""
    return encode([(1, key), (2, fd)])


def encode(fields: Iterable[tuple[int, Value]]) -> bytes:
    """Return a message of *fields*, each a number and a value."""
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts += [_number(number << 3 | _NUMBER), _number(value)]
        else:
            content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            parts += [_number(number << 3 | _BYTES), _number(len(content)), content]
    return b"".join(parts)


def decode(message: bytes) -> dict[int, int | bytes]:
    """Return the fields of *message* by their numbers; HostError: it is no message of this protocol."""
    fields: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        key, at = _read(message, at)
        value, at = _read(message, at)
        if key & 7 == _NUMBER:
            fields[key >> 3] = value
        elif key & 7 == _BYTES and at + value <= len(message):
            fields[key >> 3] = message[at : at + value]
            at += value
        else:
            raise HostError("criu", "its answer cannot be understood", "criu 3.16 or newer")
    return fields


def _number(value: int) -> bytes:
    groups = [value & 127]
    while value := value >> 7:
        groups[-1] |= 128
        groups.append(value & 127)
    return bytes(groups)


def _read(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at byte *at* of *message*, and where it ends."""
    value = shift = 0
    for end in range(at, min(at + 10, len(message))):
        value |= (message[end] & 127) << shift
        shift += 7
        if message[end] < 128:
            return value, end + 1
    raise HostError("criu", "its answer cannot be understood", "criu 3.16 or newer")
