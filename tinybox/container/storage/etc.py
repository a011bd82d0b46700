"""The three files of /etc that are the box's own: hosts, hostname and resolv.conf, mounted over those of the image.

They lie in the bundle, and what is mounted is the file itself, not its name: so while a box runs they are written in
place, and the box sees at once what is new. Each start makes new files, as another box may have the former ones mounted
and do with them what it likes. See hosts(5), hostname(5) and resolv.conf(5).
"""

from __future__ import annotations

import os

from tinybox.container.records import spec
from tinybox.linux import files
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinybox.container.records.spec import Mount, Spec

GATEWAY = "host-gateway"  # in --add-host: the host, as this box reaches it
HOSTS, HOSTNAME, RESOLV = "hosts", "hostname", "resolv.conf"
LOCAL = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)
PUBLIC = ("8.8.8.8", "8.8.4.4")  # docker's answer where the host knows no server but itself
STUB, UPSTREAM = "127.0.0.53", "/run/systemd/resolve/resolv.conf"  # see systemd-resolved(8)


def own_files(config: Spec) -> list[str]:
    """Return which of the three are in the bundle: a path that is not absolute is one there, says OCI."""
    return [name for name in map(_source, config.get("mounts", [])) if name in (HOSTS, HOSTNAME, RESOLV)]


def _source(entry: Mount) -> str:
    return entry.get("source", "")


def write(bundle: str, config: Spec) -> None:
    """Write those of the three files that lie in the *bundle*, as a box finds them when it starts."""
    known = json.loads(config.get("annotations", {}).get(spec.NAMES) or "{}")
    is_hosts = not any(entry["type"] == "network" for entry in config.get("linux", {}).get("namespaces", []))
    texts = {
        HOSTS: lambda: (read("/etc/hosts") if is_hosts else _text(LOCAL)) + _text(added(known, is_hosts=is_hosts)),
        HOSTNAME: lambda: f"{config.get('hostname') or os.uname().nodename}\n",
        RESOLV: lambda: resolv_conf(*_of_the_host(keep=is_hosts), known),
    }
    for name in own_files(config):
        files.replace(os.path.join(bundle, name), _encoded(texts[name]()), 0o644)


def put(path: str, text: str) -> None:
    """Write *text* to the file *path* in place, for a box that has it mounted; see open(2).

    The box may hold a lease on the file: UnfitFileError at once, since others wait for us; fcntl(2).
    """
    fd = files.open_at_once(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(fd, 0o644)  # whatever our umask is: users who are not root look names up, too
        data = _encoded(text)
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))  # after, so that who reads meanwhile finds more, not nothing
    finally:
        os.close(fd)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def read(path: str, most: int = 1 << 20) -> str:
    """Return what is in the file *path*, at *most* so many characters; of one that is not there, nothing.

    A box can have a lease on it, for the host's own files can be mounted in a box, too: UnfitFileError; see fcntl(2).
    """
    try:
        fd = files.open_at_once(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    with open(fd, encoding="utf-8", errors="surrogateescape") as file:
        return file.read(most)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def added(known: dict[str, list[str]], *, is_hosts: bool) -> list[str]:
    """Return the lines of --add-host; those for the host itself, which a box reaches by its gateway, come later."""
    pairs = [line.partition(":")[::2] for line in known.get("hosts", [])]
    if is_hosts:
        pairs = [(name, "127.0.0.1" if address == GATEWAY else address) for name, address in pairs]
    return [f"{address}\t{name}" for name, address in pairs if address != GATEWAY]


def behind(known: dict[str, list[str]], gateway: str) -> list[str]:
    """Return the lines of --add-host for the host itself, now that the *gateway* is known; none without one."""
    pairs = [line.partition(":")[::2] for line in known.get("hosts", [])]
    return [f"{gateway}\t{name}" for name, address in pairs if gateway and address == GATEWAY]


def _of_the_host(*, keep: bool) -> tuple[str, bool]:
    """Return the text to begin with, and whether servers on the loopback stay: of use in the host's network only."""
    text = read("/etc/resolv.conf")
    if not keep and servers(text) == [STUB]:
        text = read(UPSTREAM) or text
    return text, keep


def servers(text: str) -> list[str]:
    """Return the name servers of a resolv.conf."""
    return [words[1] for words in map(str.split, text.splitlines()) if len(words) > 1 and words[0] == "nameserver"]


def resolv_conf(text: str, keep: bool, known: dict[str, list[str]]) -> str:
    """Return the box's resolv.conf: the host's *text*, with what the options name instead; see resolv.conf(5)."""
    if not any(known.get(key) for key in ("nameserver", "search", "options")) and keep:
        return text
    kept = [server for server in servers(text) if keep or not is_loopback(server)] or PUBLIC
    lines = [f"nameserver {server}" for server in known.get("nameserver") or kept]
    for key, names in (("search", ("search", "domain")), ("options", ("options",))):
        chosen = known.get(key) or _last(text, names)
        lines += [f"{key} {' '.join(chosen)}"] if chosen and chosen != ["."] else []
    return _text(lines)


def is_loopback(address: str) -> bool:
    """Tell whether an address means the machine itself, which in a box is the box."""
    return address.startswith("127.") or address == "::1"


def _last(text: str, names: Sequence[str]) -> list[str]:
    """Return the words of the last line that begins with one of *names*: it is the one that counts."""
    found = [words[1:] for words in map(str.split, text.splitlines()) if words and words[0] in names]
    return found[-1] if found else []
