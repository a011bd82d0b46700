"""Write the box's own /etc/hosts, /etc/hostname and /etc/resolv.conf (``--dns``, ``--add-host``) into its bundle.

They are mounted over the image's files. A bind mount refers to the file, not to its name: so while a box runs, the
files are written in place, and the box sees a change at once. Each start makes new files, because another box may still
have the former ones mounted, and write to them. See hosts(5), hostname(5) and resolv.conf(5).
"""

from __future__ import annotations

import os

from tinybox.container.records import spec
from tinybox.linux import quick_json as json
from tinybox.linux import user_namespaces
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tinybox.container.records.spec_types import Mount, Spec

GATEWAY = "host-gateway"  # in --add-host: the address at which this box reaches the host
HOSTS, HOSTNAME, RESOLV = "hosts", "hostname", "resolv.conf"
DOMAIN = "domainname"  # only if the box has one; not mounted: network/hosts_file.py reads it
LOCAL = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)
MARK = "/.dockerenv"  # an empty file in the root of each box
NAME_MAX = 64  # HOST_NAME_MAX of gethostname(2); a domain name has the same limit
PUBLIC = ("8.8.8.8", "8.8.4.4")  # docker's name servers for a host that has none but itself
_USUAL = 1 << 16  # bytes of one read(2): a hosts file of a thousand boxes
OF_THE_HOME = "10.0.2.3"  # slirp4netns, which passes questions on to the servers of the host; see home_network.py
STUB, UPSTREAM = "127.0.0.53", "/run/systemd/resolve/resolv.conf"  # see systemd-resolved(8)


def own_files(config: Spec) -> list[str]:
    """Return the names of the files that are in the bundle: in OCI a source that is not absolute is relative to it."""
    return [name for name in map(_source, config.get("mounts", [])) if name in (HOSTS, HOSTNAME, RESOLV)]


def _source(entry: Mount) -> str:
    return entry.get("source", "")


def write(bundle: str, config: Spec) -> None:
    """Write those of the three files that *config* mounts from the *bundle*, with their content for a start."""
    known = json.loads(config.get("annotations", {}).get(spec.NAMES) or "{}")
    is_hosts = not any(entry["type"] == "network" for entry in config.get("linux", {}).get("namespaces", []))
    texts = {
        HOSTS: lambda: (read("/etc/hosts") if is_hosts else _text(LOCAL)) + _text(added(known, is_hosts=is_hosts)),
        HOSTNAME: lambda: f"{config.get('hostname') or os.uname().nodename}\n",
        RESOLV: lambda: resolv_conf(*_of_the_host(keep=is_hosts), known),
    }
    for name in own_files(config):
        files.replace(os.path.join(bundle, name), _encoded(texts[name]()), 0o644)
        if spec.ID_MAPS in config.get("annotations", {}):
            from tinybox.container.storage import mapped_files

            mapped_files.give(os.path.join(bundle, name), config)
    if config.get("domainname"):
        files.replace(os.path.join(bundle, DOMAIN), _encoded(f"{config['domainname']}\n"), 0o644)


def host_names(bundle: str) -> list[str]:
    """Return the names of the box itself for its hosts file: the full name, and the part before the first dot.

    The full name is the host name, and the domain name after it if the box has one; see hosts(5) and hostname(1) -f.
    """
    words = [read(os.path.join(bundle, name), NAME_MAX + 1).partition("\n")[0] for name in (HOSTNAME, DOMAIN)]
    full = ".".join(filter(None, words))
    return list(dict.fromkeys(filter(None, (full, full.partition(".")[0]))))


def change(path: str, changed: Callable[[str], str], most: int) -> None:
    """Write what *changed* makes of its text to the file *path*, in place, for a box that has it mounted; see open(2).

    A file that is missing, has *most* bytes or more, or does not change, is left as it is.

    UnfitFileError if the box holds a lease on the file; this does not wait, because other processes may wait for the
    caller; see fcntl(2).
    """
    try:
        fd = files.open_at_once(path, os.O_RDWR | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        former = os.read(fd, _USUAL)
        while len(former) < most and len(former) % _USUAL == 0 and (more := os.read(fd, _USUAL)):
            former += more
        data = former if len(former) >= most else _encoded(changed(former.decode("utf-8", "surrogateescape")))
        if data != former:
            os.pwrite(fd, data, 0)
            os.ftruncate(fd, len(data))  # last, so that a process that reads now finds too much instead of nothing
    finally:
        os.close(fd)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def read(path: str, most: int = 1 << 20) -> str:
    """Return the text of the file *path*, *most* bytes at most; an empty string if there is no such file.

    UnfitFileError if a box holds a lease on it; even the host's own files can be mounted in a box; see fcntl(2).
    """
    try:
        fd = files.open_at_once(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return files.content(fd, most).decode("utf-8", "surrogateescape")


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def added(known: dict[str, list[str]], *, is_hosts: bool) -> list[str]:
    """Return the lines of --add-host, without those for ``host-gateway``: `behind` makes them when it is known."""
    pairs = [line.partition(":")[::2] for line in known.get("hosts", [])]
    if is_hosts:
        pairs = [(name, "127.0.0.1" if address == GATEWAY else address) for name, address in pairs]
    return [f"{address}\t{name}" for name, address in pairs if address != GATEWAY]


def behind(known: dict[str, list[str]], gateway: str) -> list[str]:
    """Return the lines of --add-host for ``host-gateway`` with the address *gateway*; none if that is empty."""
    pairs = [line.partition(":")[::2] for line in known.get("hosts", [])]
    return [f"{gateway}\t{name}" for name, address in pairs if gateway and address == GATEWAY]


def _of_the_host(*, keep: bool) -> tuple[str, bool]:
    """Return the text of the host's resolv.conf, and *keep*: whether its servers on the loopback can be used.

    They can be used only in the host's network.
    """
    text = read("/etc/resolv.conf")
    if not keep and user_namespaces.is_rootless():
        others = [line for line in text.splitlines() if line.split()[:1] != ["nameserver"]]
        return _text([*others, f"nameserver {OF_THE_HOME}"]), keep
    if not keep and servers(text) == [STUB]:
        text = read(UPSTREAM) or text
    return text, keep


def servers(text: str) -> list[str]:
    """Return the addresses of the name servers in *text*, the content of a resolv.conf."""
    return [words[1] for words in map(str.split, text.splitlines()) if len(words) > 1 and words[0] == "nameserver"]


def resolv_conf(text: str, keep: bool, known: dict[str, list[str]]) -> str:
    """Return the box's resolv.conf: the host's *text* with the values of --dns and its like; see resolv.conf(5).

    Without *keep*, servers on the loopback are left out; if none remain, docker's PUBLIC ones are used.
    """
    if not any(known.get(key) for key in ("nameserver", "search", "options")) and keep:
        return text
    kept = [server for server in servers(text) if keep or not is_loopback(server)] or PUBLIC
    lines = [f"nameserver {server}" for server in known.get("nameserver") or kept]
    for key, names in (("search", ("search", "domain")), ("options", ("options",))):
        chosen = known.get(key) or _last(text, names)
        lines += [f"{key} {' '.join(chosen)}"] if chosen and chosen != ["."] else []
    return _text(lines)


def is_loopback(address: str) -> bool:
    """Return whether *address* is a loopback address; in a box it would mean the box itself."""
    return address.startswith("127.") or address == "::1"


def _last(text: str, names: Sequence[str]) -> list[str]:
    """Return the values of the last line that begins with one of *names*; resolvers ignore the former lines."""
    found = [words[1:] for words in map(str.split, text.splitlines()) if words and words[0] in names]
    return found[-1] if found else []
