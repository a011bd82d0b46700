"""The network steps of a plan: reserve host ports and addresses first, later make the veth pairs into the box."""

from __future__ import annotations

import os

from tinybox.container.process.plan import Step
from tinybox.container.records import spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.network.endpoints import Endpoints
    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.paths import Paths
    from tinybox.isolation.network.moved_devices import MovedDevices


def endpoints_of(paths: Paths, container: str, annotations: dict[str, str]) -> Endpoints | None:
    """Return a container's endpoints in its networks; None, without an import, if it has no network of its own."""
    if spec.NETWORKS not in annotations:
        return None
    from tinybox.container.network.endpoints import Endpoints

    return Endpoints(paths, container, annotations)


def reserve(task: Task) -> list[Step]:
    """Plan the first steps: reserve the published ports, which fails if one is in use, and assign the addresses."""
    endpoints, steps = task.endpoints, list[Step]()
    if endpoints is None:
        return steps
    if task.host.rootless:
        says = "Enter the network of the home, with the user's bridges; slirp4netns or pasta leads out"
        steps.append(Step("home-network", says, "slirp4netns(1)", endpoints.enter_home_network))
    if endpoints.ports:
        says = "Reserve the host's ports that will be published"
        ports = Step("ports", says, "bind(2)", endpoints.reserve_ports)
        steps.append(ports.undone_by("close(2): the host's ports are free again", endpoints.release_ports))
    says = "Assign an address in each network of the box: " + ", ".join(want["name"] for want in endpoints.wants)
    addresses = Step("addresses", says, "flock(2)", endpoints.assign_addresses)
    undone = "the leases are released; then links, bridge and firewall rules that no box needs are removed"
    return [*steps, addresses.undone_by(undone, endpoints.release)]


def move_devices(task: Task) -> list[Step]:
    """Plan to move devices of the host into the container; see ``netDevices`` in OCI's config-linux."""
    wanted = task.linux.get("netDevices")
    if not wanted:
        return []
    from tinybox.isolation.network import moved_devices

    moved = moved_devices.MovedDevices({name: entry.get("name") or name for name, entry in wanted.items()})
    says = f"Move network devices of the host into the container: {', '.join(wanted)}"
    step = Step("net-devices", says, "network_namespaces(7)", move, moved, task.handles)
    return [step.undone_by("the devices are moved back, with their names and addresses", moved.move_back)]


def move(moved: MovedDevices, handles: Handles) -> None:
    """Move the devices into the network namespace of the child: a new one, or the one that it joins; see setns(2)."""
    if "network" in handles.namespace_fds:
        namespace = os.dup(handles.namespace_fds["network"])
    else:
        namespace = os.open(f"/proc/{handles.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    handles.for_undo.append(namespace)
    moved.move(namespace)


def connect(task: Task) -> tuple[list[Step], list[Step]]:
    """Plan the links, in two lists: order them from the link maker as soon as there is a child, wait for them later."""
    endpoints = task.endpoints
    if endpoints is None:
        return [], []
    says = "Let the link maker make a veth pair for each network, and firewall rules"
    ordered = [
        Step("names", "Write the box's names and neighbours to the hosts files", "hosts(5)", endpoints.announce),
        Step("network", says, "veth(4)", endpoints.order, task.handles),
    ]
    return ordered, [Step("await-network", "Wait until the links are made", "pipe(7)", endpoints.wait, task.handles)]


def names_links(parameter: str) -> bool:
    """Return whether a kernel *parameter* is about links, which have to be there before it is set; see ip-sysctl.

    net.ipv4.conf.eth0.forwarding has the name of a link in it, and net.ipv4.conf.all.forwarding is about each of them.
    """
    words = parameter.replace("/", ".").split(".")
    return words[0] == "net" and words[2:3] in (["conf"], ["neigh"], ["ip_forward"])
