"""Which proxy leads to a host: HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, except for the hosts in NO_PROXY.

The names may also be in lower case, which counts first, as for curl(1). NO_PROXY is a list of hosts, domains, addresses
and networks (10.0.0.0/8), each with an optional port; ``*`` means every host.
"""

from __future__ import annotations

import ipaddress
import os


def proxy(scheme: str, host: str) -> str | None:
    """Return the proxy for *host*, with or without a port, as a URL; None: the connection needs none."""
    if _is_excepted(host):
        return None
    found = _variable(f"{scheme}_proxy") or _variable("all_proxy")
    return found if not found or "://" in found else f"http://{found}"


def _variable(name: str) -> str | None:
    return os.environ.get(name) or os.environ.get(name.upper()) or None


def _is_excepted(host: str) -> bool:
    """Return whether NO_PROXY has *host*."""
    name, port = split(host)
    for entry in (_variable("no_proxy") or "").split(","):
        pattern, wanted = split(entry.strip().lower())
        if pattern == "*":
            return True
        if pattern and wanted in {"", port} and _fits(name.lower(), pattern):
            return True
    return False


def split(host: str) -> tuple[str, str]:
    """Split *host* into a name, without the brackets of an IPv6 address, and a port or ""."""
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = host.partition(":")
    return (name, port) if host.count(":") == 1 else (host, "")


def _fits(name: str, pattern: str) -> bool:
    """Return whether *name* is the *pattern*, below that domain, or an address in that network."""
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        domain = pattern.removeprefix("*").removeprefix(".")
        return name == domain or name.endswith(f".{domain}")
