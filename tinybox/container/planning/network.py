"""The part of the plan that has to do with networks: what is taken before the box is made, and what is laid into it."""

from __future__ import annotations

from tinybox.container.process.plan import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task


def reserve(task: Task) -> list[Step]:
    """Plan what must be the box's before anything is made: its ports, where one in use is found, and addresses."""
    wiring, steps = task.wiring, list[Step]()
    if wiring is None:
        return steps
    if wiring.ports:
        says = "Take the ports of the host that are to lead into the box"
        ports = Step("ports", says, "bind(2)", wiring.reserve_ports)
        steps.append(ports.undone_by("close(2): the host's ports are free again", wiring.release_ports))
    says = "Take an address in each of its networks: " + ", ".join(want["name"] for want in wiring.wants)
    addresses = Step("addresses", says, "flock(2)", wiring.assign_addresses)
    undone = "the leases are given back, then all goes that no box needs any more: cables, bridge, rules"
    return [*steps, addresses.undone_by(undone, wiring.release)]


def connect(task: Task) -> tuple[list[Step], list[Step]]:
    """Plan the cables: who lays them is told as soon as there is a box, and waited for as late as possible."""
    wiring = task.wiring
    if wiring is None:
        return [], []
    says = "Have a cable laid into each network, and the firewall opened"
    ordered = [
        Step("names", "Tell the box its names, and its neighbours of it", "hosts(5)", wiring.announce),
        Step("network", says, "veth(4)", wiring.order, task.handles),
    ]
    return ordered, [Step("await-network", "Wait until they are laid", "pipe(7)", wiring.wait, task.handles)]
