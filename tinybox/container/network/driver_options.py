"""Options of docker's driver for networks with a bridge: those of a network (-o), and those of one endpoint.

docker's driver ignores options that it does not know. Here an unknown one is an error, unless docker has it and it
says what tinybox does anyway.
"""

from __future__ import annotations

from tinybox.container.network import PREFIX, definitions
from tinybox.errors import UsageError
from tinybox.text_values import is_whole, truth

MTU_LEAST, MTU_LEAST_6, MTU_MOST = 68, 1280, 65535  # see RFC 791, RFC 8200 and veth(4)
NAME_MOST = 15  # bytes of the name of a link: IFNAMSIZ of netdevice(7), without the zero
_BRIDGE, _ENDPOINT = "com.docker.network.bridge.", "com.docker.network.endpoint."
MTU_KEYS = ("mtu", "com.docker.network.driver.mtu")
LINK, TALKS, MASQUERADE, BINDING = (
    _BRIDGE + name for name in ("name", "enable_icc", "enable_ip_masquerade", "host_binding_ipv4")
)
INTERFACE, SYSCTLS = _ENDPOINT + "ifname", _ENDPOINT + "sysctls"
# What tinybox does in any case: the only values that these options can have here
_ALWAYS = {
    _BRIDGE + "gateway_mode_ipv4": ("nat",),
    _BRIDGE + "gateway_mode_ipv6": ("nat",),
    _BRIDGE + "inhibit_ipv4": ("false", "0"),
    _BRIDGE + "default_bridge": ("false", "0"),
}
_CURE = f"mtu, and {_BRIDGE}name, enable_icc, enable_ip_masquerade or host_binding_ipv4; {PREFIX}"


def is_on(options: dict[str, str], key: str) -> bool:
    """Return whether the option *key*, TALKS or MASQUERADE, is on: it is, unless it is given as false."""
    return truth(options.get(key) or "true") is not False


def sysctls(options: dict[str, str]) -> dict[str, str]:
    """Return the parameters of an endpoint's interface, such as ``net.ipv4.conf.IFNAME.log_martians``."""
    return dict(text.partition("=")[::2] for text in filter(None, options.get(SYSCTLS, "").split(",")))


def mtu(options: dict[str, str], *, ipv6: bool) -> int:
    """Return the MTU of a new network with these *options*, in bytes; UsageError: one of them is wrong or unknown."""
    found = definitions.MTU
    for key, value in options.items():
        option = f"--opt {key}={value}"
        if key in MTU_KEYS:
            least = MTU_LEAST_6 if ipv6 else MTU_LEAST
            if not (is_whole(value) and least <= int(value) <= MTU_MOST):
                raise UsageError(option, f"is not an MTU: write a number from {least} to {MTU_MOST}")
            found = int(value)
        elif key in (LINK, PREFIX):
            check_link_name(option, value, NAME_MOST - 2 * (key == PREFIX))
        elif key in (TALKS, MASQUERADE):
            if truth(value) is None:
                raise UsageError(option, f"{value!r} is neither true nor false")
        elif key == BINDING:
            _check_address(option, value)
        elif value not in _ALWAYS.get(key, ()):
            raise UsageError(option, "is unknown", f"it can only be {_ALWAYS[key][0]}" if key in _ALWAYS else _CURE)
    return found


def _check_address(option: str, text: str) -> None:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise UsageError(option, f"{text!r} is not an IP address", "such as 127.0.0.1") from error


def check_link_name(option: str, name: str, most: int = NAME_MOST) -> None:
    """Raise UsageError if *name* cannot be that of a network interface; see dev_valid_name in the kernel."""
    if not 0 < len(name.encode()) <= most or name in (".", "..", "lo") or not name.isprintable():
        raise UsageError(option, f"{name!r} is no name of a link", f"1 to {most} characters")
    if any(character in '/: "\\' for character in name):
        raise UsageError(option, f"{name!r} is no name of a link", "without / : quotes and spaces")


def check_endpoint(options: dict[str, str]) -> None:
    """Raise UsageError if an option of an endpoint is unknown or wrong."""
    for key, value in options.items():
        option = f"--driver-opt {key}={value}"
        if key == INTERFACE:
            check_link_name(option, value)
        elif key == SYSCTLS:
            for name in sysctls(options):
                parts = name.split(".")
                if len(parts) != 5 or parts[0] != "net" or parts[1] not in ("ipv4", "ipv6", "mpls"):
                    raise UsageError(option, f"unrecognised network interface sysctl {name!r}", _SYSCTL_CURE)
                if parts[3] != "IFNAME" or not all(part.replace("_", "").isalnum() for part in parts):
                    raise UsageError(option, f"unrecognised network interface sysctl {name!r}", _SYSCTL_CURE)
        else:
            raise UsageError(option, "is unknown", f"{INTERFACE}=NAME or {SYSCTLS}=...")


_SYSCTL_CURE = "such as net.ipv4.conf.IFNAME.log_martians=1"
