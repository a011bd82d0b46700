"""Check the values of --ip, --ip6, --mac-address, --network-alias, --dns and --add-host."""

from __future__ import annotations

import ipaddress

from tinybox.container.storage import etc
from tinybox.errors import UnfitValueError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.config.options import Options
    from tinybox.container.network.addresses import EndpointRequest
    from tinybox.container.network.definitions import Network


def address(
    option: str, text: str, error: type[UsageError] = UsageError
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return *text* as an IP address; UsageError, with the name of the *option*, if it is not one."""
    try:
        return ipaddress.ip_address(text)
    except ValueError as cause:
        raise error(f"--{option} {text}", "is not an IP address", "write 172.18.0.9 or fd00::9") from cause


def check(network: Network, want: EndpointRequest) -> None:
    """Raise UsageError if *want* contains an address outside of the network, or an invalid address or name."""
    for option, text, version, subnet in (
        ("ip", want.get("address"), 4, network.subnet),
        ("ip6", want.get("address6"), 6, network.subnet6),
    ):
        if not text:
            continue
        found = address(option, text, UnfitValueError)
        if found.version != version:
            raise UnfitValueError(
                f"--{option} {text}", f"is not an IPv{version} address", f"--ip{'6' * (version == 4)}"
            )
        if not subnet or found not in ipaddress.ip_network(subnet):
            cause = f"no configured subnet contains IP address {text}"
            raise UsageError(f"network {network.name}", cause, f"its subnet is {subnet or 'IPv4 only'}")
    check_endpoint(want)


def check_endpoint(want: EndpointRequest) -> None:
    """Raise UsageError for values of *want* that no network can give."""
    for text in want.get("link_local") or ():
        if not address("link-local-ip", text, UnfitValueError).is_link_local:
            raise UnfitValueError(
                f"--link-local-ip {text}", "is not a link-local address", "169.254.0.0/16 or fe80::/10"
            )
    if want.get("driver_options"):
        from tinybox.container.network import driver_options

        driver_options.check_endpoint(want["driver_options"])
    if want.get("mac"):
        check_mac(want["mac"])
    linked = [link.partition(":")[2] for link in want.get("links") or ()]
    for alias in [*(want.get("aliases") or ()), *linked]:
        check_alias(alias)


def check_alias(text: str) -> None:
    """Raise UsageError if *text* cannot be one name in a line of other boxes' /etc/hosts; see hosts(5)."""
    if not text.isprintable() or {" ", "#"} & set(text):
        raise UsageError(f"--network-alias {text!r}", "is not a name", "one word, without blanks or #")


def check_mac(text: str) -> None:
    """Raise UsageError if *text* is not the address of one interface: six octets, lowest bit of the first one 0."""
    try:
        octets = [int(octet, 16) for octet in text.split(":") if len(octet) == 2]
    except ValueError:
        octets = []
    if len(octets) != 6 or text.count(":") != 5:
        raise UsageError(f"--mac-address {text}", "is not a valid mac address", "write 02:42:ac:12:00:09")
    if octets[0] & 1 or not any(octets):
        raise UnfitValueError(
            f"--mac-address {text}", "is a group address, or all zeros", "02:... are free for local use"
        )


def names(options: Options) -> dict[str, list[str]]:
    """Return the values of --dns, --dns-search, --dns-option and --add-host, checked, as the annotation has them."""
    return {
        "nameserver": [str(address("dns", text)) for text in options.get("dns") or ()],
        "search": [_domain(text) for text in options.get("dns_search") or ()],
        "options": list(options.get("dns_option") or ()),
        "hosts": [_host(text) for text in options.get("add_host") or ()],
    }


def _domain(text: str) -> str:
    bare = text.strip()
    if bare != "." and not all(part.replace("-", "").replace("_", "").isalnum() for part in bare.split(".")):
        raise UsageError(f"--dns-search {text}", "is not a valid domain", "write example.org, or . for none")
    return bare


def _host(text: str) -> str:
    """Return ``NAME:ADDRESS`` or ``NAME=ADDRESS`` as ``NAME:ADDRESS``; an IPv6 address may be in brackets."""
    name, _, word = text.partition("=" if "=" in text else ":")
    if not name or not word or not name.isprintable() or " " in name:
        raise UsageError(f"--add-host {text}", "bad format for add-host", "write NAME:ADDRESS")
    if word == etc.GATEWAY:
        return f"{name}:{word}"
    return f"{name}:{address('add-host', word[1:-1] if word[0] == '[' and word[-1] == ']' else word)}"
