"""Names: boxes of a network that users made find one another by lines in /etc/hosts, kept as they come and go.

Each box has a block of lines in its own file, between two marks; what stands outside of the marks is the box's affair.
Every resolver reads /etc/hosts anew for each question, so a box that starts later is found by those that run already.
"""

from __future__ import annotations

import os

from tinybox import quick_json as json
from tinybox.container import addresses, etc, naming, networks, spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tinybox.container.addresses import Endpoint
    from tinybox.container.home import Home

BEGIN, END = "# tinybox: this box and those beside it", "# tinybox: end"
MOST = 1 << 20  # bytes; a box may write to its own file, and we do not read whatever it puts there


class Member:
    """A box that runs: its *id*, its *name*, and its *endpoints*."""

    def __init__(self, home: Home, container: str, name: str) -> None:
        self.id, self.name = container, name
        self.endpoints = addresses.endpoints(home, container)
        self.networks = {endpoint.network for endpoint in self.endpoints if endpoint.network != networks.BRIDGE}

    def names(self, endpoint: Endpoint) -> list[str]:
        """Return what others in the network of *endpoint* may call it: name, aliases, short id."""
        return list(dict.fromkeys([self.name, *endpoint.aliases, self.id[:12]]))


def announce(home: Home, container: str, annotations: Mapping[str, str]) -> None:
    """Write the addresses of *container* into its own hosts file, and its names into those of its neighbours."""
    own = Member(home, container, "")
    known = json.loads(annotations.get(spec.NAMES) or "{}")
    gateway = next((endpoint.gateway for endpoint in own.endpoints), "")
    if own.endpoints and (host := etc.behind(known, gateway)):
        _append(os.path.join(home.bundle(container), etc.HOSTS), host)
    if own.networks:
        refresh(home, own.networks, container)
    elif own.endpoints:
        _rewrite(home, own, [])


def refresh(home: Home, touched: Iterable[str], container: str = "") -> None:
    """Bring the hosts files of all boxes in the networks *touched* up to date, and that of *container* anyhow."""
    wanted = set(touched) - {networks.BRIDGE}
    if not wanted and not container:
        return
    with networks.Locked(home):
        names = naming.every(home)
        members = [Member(home, each, names.get(each, "")) for each in home.living()]
        for member in members:
            if member.id == container or member.networks & wanted:
                _rewrite(home, member, members)


def _rewrite(home: Home, member: Member, members: Sequence[Member]) -> None:
    """Put the block of *member* into its file: who it is, and who is beside it."""
    path = os.path.join(home.bundle(member.id), etc.HOSTS)
    hostname = etc.read(os.path.join(home.bundle(member.id), etc.HOSTNAME), 65).partition("\n")[0]
    text = etc.read(path)
    if text and len(text) < MOST:  # else it brings a file of its own, or shares another's, or has ruined its own
        etc.put(path, placed(text, lines(member, hostname, members)))


def _append(path: str, more: Sequence[str]) -> None:
    text = etc.read(path)
    if text and BEGIN not in text:
        etc.put(path, text + "".join(f"{line}\n" for line in more))


def lines(member: Member, hostname: str, members: Sequence[Member]) -> list[str]:
    """Return the lines for *member* itself and for those who share a network with it that has names."""
    found = []
    for endpoint in member.endpoints:
        named = endpoint.network != networks.BRIDGE
        own = [hostname, *(member.names(endpoint) if named else [])]
        found += _lines(endpoint, own)
        for other in members if named else ():
            if other.id != member.id:
                for place in other.endpoints:
                    if place.id == endpoint.id:
                        found += _lines(place, other.names(place))
    return found


def _lines(endpoint: Endpoint, names: Iterable[str]) -> list[str]:
    words = " ".join(dict.fromkeys(name for name in names if name))
    places = [place.partition("/")[0] for place in (endpoint.address, endpoint.address6) if place]
    return [f"{place}\t{words}" for place in places]


def placed(text: str, block: Sequence[str]) -> str:
    """Return *text* with the *block* between its marks, in the place of a former one, or at the end."""
    before, mark, rest = text.partition(f"{BEGIN}\n")
    after = rest.partition(f"{END}\n")[2] if mark else ""
    if before and not before.endswith("\n"):
        before += "\n"
    ours = "".join(f"{line}\n" for line in (BEGIN, *block, END)) if block else ""
    return before + ours + after
