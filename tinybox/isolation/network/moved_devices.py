"""Network devices of the host that a container gets (OCI's netDevices): moved, with their permanent addresses.

A device is in one network namespace at a time. When a namespace ends, the kernel moves physical devices back to the
first namespace of the host, and removes virtual ones; see network_namespaces(7). tinybox moves nothing back, except
after an error in `create`, when the host has to be as it was before.
"""

from __future__ import annotations

import _socket
import os

from tinybox.errors import HostError, SyscallError, TinyboxError, UsageError
from tinybox.linux import process
from tinybox.linux.sockets import link_requests as links
from tinybox.linux.sockets import netlink, rtnetlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    Answer = TypeVar("Answer")

LONGEST = 15  # bytes of a device's name
TEMPLATE = "%d"  # at the end of a name: the kernel chooses the number
_IFA_RT_PRIORITY, _IFA_F_PERMANENT = 9, 0x80
_KEPT = (links.IFA_ADDRESS, links.IFA_LOCAL, links.IFA_BROADCAST, _IFA_RT_PRIORITY)


def check(devices: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise UsageError, with the field, for a name that no network device can have; see dev_valid_name in Linux."""
    wanted = [entry.get("name") or name for name, entry in devices.items()]
    for name in wanted:
        if wanted.count(name) > 1 and not name.endswith(TEMPLATE):
            raise UsageError("linux.netDevices", f"two devices would be called {name}", "give each a name of its own")
    for name, entry in devices.items():
        for place, text in (
            (f"linux.netDevices.{name}", name),
            (f"linux.netDevices.{name}.name", entry.get("name", "")),
        ):
            if place.endswith(".name") and not text:
                continue
            bad = not 0 < len(os.fsencode(text)) <= LONGEST or text in (".", "..") or set(text) & set("/:")
            if bad or any(letter.isspace() for letter in text):
                raise UsageError(place, f"{text!r} is not a name of a network device", f"at most {LONGEST} letters")
            if "%" in text and (text.count("%") != 1 or not text.endswith(TEMPLATE) or text == name):
                raise UsageError(place, f"{text!r} is no template", f"a name with {TEMPLATE} at its end")


class MovedDevices:
    """The devices to move: a name in this network namespace, and a name in the container's, for each."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = dict(names)
        self.namespace = -1  # fd of the container's
        self.moved: list[tuple[_Device, int]] = []  # each with its index in the container

    def move(self, namespace: int) -> None:
        """Move all devices to the network *namespace*, an fd; HostError: it is not possible for one of them."""
        self.namespace = namespace
        devices = [_Device(name) for name in self.names]
        for device in devices:
            self._check_name(self.names[device.name])
        for device in devices:
            try:
                self._move_one(device, self.names[device.name])
            except SyscallError as error:
                cause = f"it cannot be moved: {(error.strerror or '').lower()}"
                raise HostError(f"linux.netDevices.{device.name}", cause) from error

    def _check_name(self, wanted: str) -> None:
        there = _inside(self.namespace, lambda: {link.name for link in _links()})
        if wanted in there:
            place = next(name for name, new in self.names.items() if new == wanted)
            cause = f"the container has a network device {wanted} already"
            raise HostError(f"linux.netDevices.{place}", cause, f"another name, or one that ends in {TEMPLATE}")

    def _move_one(self, device: _Device, wanted: str) -> None:
        before = _inside(self.namespace, lambda: {link.index for link in _links()})
        _send(links.changed_link(device.index, netlink.unsigned(links.IFLA_NET_NS_FD, self.namespace), _name(wanted)))
        index = next(link.index for link in _inside(self.namespace, _links) if link.index not in before)
        self.moved.append((device, index))
        _inside(self.namespace, lambda: device.restore(index, up=True))

    def move_back(self) -> None:
        """Move the devices back, with their former names, addresses and states; undo of move()."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for device, index in self.moved:
                back = links.changed_link(index, netlink.unsigned(links.IFLA_NET_NS_FD, own), _name(device.name))
                _inside(self.namespace, lambda back=back: _send(back))  # type: ignore[misc]
                found = next((link.index for link in _links() if link.name == device.name), 0)
                device.restore(found, up=device.up)
        finally:
            os.close(own)
            self.moved.clear()


class _Device:
    """A device of this namespace, with what the kernel forgets when it is moved: its addresses, and that it is up."""

    def __init__(self, name: str) -> None:
        with netlink.NetlinkSocket(netlink.ROUTE) as kernel:
            found = next((link for link in rtnetlink.plain_links(kernel) if link.name == name), None)
            if found is None:
                raise HostError(f"linux.netDevices.{name}", "the host has no such network device", "ip link")
            self.name, self.index, self.up = name, found.index, found.up
            self.addresses = [
                _readdress(fields, parts)
                for fields, parts in rtnetlink.address_parts(kernel)
                if fields[4] == found.index and fields[3] == 0 and _flags(fields, parts) & _IFA_F_PERMANENT
            ]

    def restore(self, index: int, *, up: bool) -> None:
        """Add the permanent addresses of global scope to the link *index*, and set it up, if it shall be."""
        for form, rest in self.addresses:
            flags = netlink.NLM_F_ACK | netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
            _send(netlink.message(links.RTM_NEWADDR, flags, links.ADDRESS.pack(*form, index) + rest))
        if up:
            _send(links.changed_link(index, up=True))


def _flags(fields: tuple[int, ...], parts: dict[int, bytes]) -> int:
    return netlink.number(parts[links.IFA_FLAGS]) if links.IFA_FLAGS in parts else fields[2]


def _readdress(fields: tuple[int, ...], parts: dict[int, bytes]) -> tuple[tuple[int, int, int, int], bytes]:
    """Return what makes the address again: the first four fields of ifaddrmsg, and its attributes; rtnetlink(7)."""
    family, length, _, scope, _ = fields
    rest = b"".join(netlink.attribute(kind, parts[kind]) for kind in _KEPT if kind in parts)
    if family == _socket.AF_INET6:
        rest += netlink.unsigned(links.IFA_FLAGS, links.IFA_F_NODAD)  # it was tested on the host
    return (family, length, 0, scope), rest


def _name(text: str) -> bytes:
    return netlink.text(links.IFLA_IFNAME, text)


def _send(message: bytes) -> None:
    with netlink.NetlinkSocket(netlink.ROUTE) as kernel:
        kernel.execute(message)


def _links() -> list[rtnetlink.Link]:
    with netlink.NetlinkSocket(netlink.ROUTE) as kernel:
        return rtnetlink.plain_links(kernel)


def _inside(namespace: int, act: Callable[[], Answer]) -> Answer:
    """Call *act* in the network *namespace*, and return to that of this process; see setns(2)."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        process.setns(namespace, process.CLONE_NEWNET)
        try:
            return act()
        finally:
            process.setns(own, process.CLONE_NEWNET)
    except SyscallError:
        raise
    except OSError as error:
        raise TinyboxError("linux.netDevices", error.strerror or str(error)) from error
    finally:
        os.close(own)
