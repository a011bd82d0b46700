"""The network steps of a plan: reserve host ports and addresses first, later make the veth pairs into the box."""

from __future__ import annotations

from tinybox.container.process.plan import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task


def reserve(task: Task) -> list[Step]:
    """Plan the first steps: reserve the published ports, which fails if one is in use, and assign the addresses."""
    endpoints, steps = task.wiring, list[Step]()
    if endpoints is None:
        return steps
    if endpoints.ports:
        says = "Reserve the host's ports that will be published"
        ports = Step("ports", says, "bind(2)", endpoints.reserve_ports)
        steps.append(ports.undone_by("close(2): the host's ports are free again", endpoints.release_ports))
    says = "Assign an address in each network of the box: " + ", ".join(want["name"] for want in endpoints.wants)
    addresses = Step("addresses", says, "flock(2)", endpoints.assign_addresses)
    undone = "the leases are released; then links, bridge and firewall rules that no box needs are removed"
    return [*steps, addresses.undone_by(undone, endpoints.release)]


def connect(task: Task) -> tuple[list[Step], list[Step]]:
    """Plan the links, in two lists: order them from the link maker as soon as there is a child, wait for them later."""
    endpoints = task.wiring
    if endpoints is None:
        return [], []
    says = "Let the link maker make a veth pair for each network, and firewall rules"
    ordered = [
        Step("names", "Write the box's names and neighbours to the hosts files", "hosts(5)", endpoints.announce),
        Step("network", says, "veth(4)", endpoints.order, task.handles),
    ]
    return ordered, [Step("await-network", "Wait until the links are made", "pipe(7)", endpoints.wait, task.handles)]
