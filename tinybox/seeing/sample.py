"""Sample containers for `tinybox explain`: their plans together have every step that a plan can have.

They are planned as any other container, but never made. So this needs no root, no image and no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.container.network.endpoints import Endpoints
from tinybox.container.planning import omissions, planner, program
from tinybox.container.planning.task import Task
from tinybox.container.process import init
from tinybox.container.process.handles import Handles
from tinybox.container.process.plan import Plan
from tinybox.container.records import spec
from tinybox.container.records.host import Host
from tinybox.container.records.paths import Paths
from tinybox.container.storage import etc
from tinybox.isolation import capabilities, inherited, namespaces
from tinybox.isolation.cgroups.group import Cgroup
from tinybox.isolation.cgroups.hierarchies import NONE, Hierarchies
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tinybox.container.records.spec_types import Spec

KINDS = ("mount", "pid", "network", "ipc", "uts", "cgroup")
CONTROLLERS = ["cpu", "io", "memory", "pids", "cpuset"]  # of version 2; one of version 1, as some hosts have it:
HIERARCHIES = Hierarchies("/sys/fs/cgroup", CONTROLLERS, {"net_cls": "/sys/fs/cgroup/net_cls"})
HERE = Host((6, 1), HIERARCHIES, list(capabilities.DEFAULT), (0, 0, 0))
WITHOUT_ROOT = Host((6, 1), NONE, list(capabilities.DEFAULT), rootless=True)
REFUSING = Host((6, 1), NONE, list(capabilities.DEFAULT), rootless=True, refuses_overlay=True)
CGROUP = Cgroup("tinybox/example", HIERARCHIES)

_PROCESS = {
    "args": ["sh"],
    "cwd": "/",
    "user": {"uid": 0, "gid": 0},
    "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities.DEFAULT),
    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}],
    "oomScoreAdj": 100,
}
_LINUX = {
    "maskedPaths": ["/proc/kcore"],
    "readonlyPaths": ["/proc/sys"],
    "sysctl": {"kernel.msgmax": "8192"},
    "resources": {"memory": {"limit": 32 << 20}, "pids": {"limit": 64}, "devices": [{"allow": False, "access": "rwm"}]},
    "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}],
}
_MOUNTS = [
    {"destination": "/proc", "type": "proc"},
    {"destination": "/dev", "type": "tmpfs"},
    {"destination": "/sys/fs/cgroup", "type": "cgroup"},
    {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind"]},
    {"destination": "/etc/hosts", "type": "bind", "source": etc.HOSTS, "options": ["rbind"]},
]
_USERS = [{"containerID": 0, "hostID": 524288, "size": 65536}]
_ANNOTATIONS = {spec.LAYERS: "/layers/a:/layers/b", spec.INIT: "forward"}
_NETWORKS = {
    spec.NETWORKS: quick_json.dumps([{"name": "lab"}]),
    spec.PORTS: quick_json.dumps([{"hostIp": "", "hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]),
}
_VOLUMES = {spec.OPTION_VOLUMES: quick_json.dumps(["/var/lib/tinybox/volumes/data"])}
_HOOK = [{"path": "/usr/bin/true"}]
_RARE = {  # settings that few containers have
    "scheduler": {"policy": "SCHED_BATCH"},
    "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0},
}


def specs() -> Iterator[Spec]:
    """Yield the config.json of each container; the first is as `tinybox run` makes it, and sets the order of steps."""
    yield _whole(annotations={**_ANNOTATIONS, **_NETWORKS}, process={"noNewPrivileges": True})
    mapped = {"uidMappings": _USERS, "gidMappings": _USERS, "timeOffsets": {"boottime": {"secs": 60}}}
    kinds = _new("user", *KINDS, "time")
    yield _whole(process={"terminal": True}, linux={**mapped, "namespaces": kinds})
    joined = _joined("pid", "ipc", "network", "uts", "cgroup")
    yield _whole(
        process=_RARE,
        linux={"namespaces": [{"type": "mount"}, *joined], "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
               "personality": {"domain": "LINUX32"}},
        root={"path": "rootfs", "readonly": True},
        hooks=dict.fromkeys(("prestart", "createRuntime", "createContainer", "startContainer"), _HOOK),
    )  # fmt: skip
    yield _whole(annotations={}, linux={"rootfsPropagation": "slave"}, domainname="lecture")
    users = {"uidMappings": _USERS, "gidMappings": _USERS}
    yield _whole(annotations={}, linux={**users, "namespaces": [*_new("user", "mount"), *_joined("pid", "network")]})
    others = _joined("user", "time")
    yield _whole(linux={"namespaces": [*_new(*KINDS), *others]})
    yield _whole(linux={**mapped, "namespaces": [*_new("user", "mount", "time"), *joined]})
    yield _whole(annotations={}, linux={"namespaces": [*_new("pid", "uts", "cgroup"), *_joined("mount")]})
    rare = {"memoryPolicy": {"mode": "MPOL_LOCAL"}, "netDevices": {"eth1": {}}, "intelRdt": {"closID": "lecture"}}
    options = {**_ANNOTATIONS, **_VOLUMES}
    yield _whole(annotations=options, linux={**rare, "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}})


def _new(*kinds: str) -> list[dict[str, str]]:
    return [{"type": kind} for kind in kinds]


def _joined(*kinds: str) -> list[dict[str, str]]:
    return [{"type": kind, "path": namespaces.path(1, kind)} for kind in kinds]


def _whole(process: Any = None, linux: Any = None, annotations: Any = None, **more: Any) -> Spec:
    whole: Any = {
        "ociVersion": spec.OCI_VERSION, "root": {"path": "rootfs"}, "hostname": "box", "mounts": _MOUNTS,
        "process": {**_PROCESS, **(process or {})},
        "linux": {"namespaces": _new(*KINDS), **_LINUX, **(linux or {})},
        "annotations": _ANNOTATIONS if annotations is None else annotations, **more,
    }  # fmt: skip
    answer: Spec = whole
    return answer


def plans() -> Iterator[Plan]:
    """Yield a plan for each; then one that starts later (OCI), two with omissions, and one with security labels."""
    for config in specs():
        yield _planned(config)
    first = next(specs())
    yield _planned(first, dies_with_parent=False)
    yield _planned(first, omitted=["private-mounts"])
    yield _planned(first, chroot=True)
    yield _labelled()
    without = {"namespaces": _new(*KINDS), "resources": {}}
    yield _planned(_whole(annotations={**_ANNOTATIONS, **_NETWORKS}, linux=without), here=WITHOUT_ROOT)
    yield _planned(_whole(linux=without), here=REFUSING)
    maps = {"uids": _USERS, "gids": _USERS}
    nested = {**without, "namespaces": _new("user", *KINDS), "uidMappings": _USERS, "gidMappings": _USERS}
    inside = {**_ANNOTATIONS, spec.ID_MAPS: quick_json.dumps(maps)}
    yield _planned(_whole(annotations=inside, linux=nested), here=WITHOUT_ROOT)


def _planned(
    config: Spec, *, dies_with_parent: bool = True, omitted: Sequence[str] = (), chroot: bool = False, here: Host = HERE
) -> Plan:
    annotations = config["annotations"]
    endpoints = Endpoints(Paths(), "example", annotations) if spec.NETWORKS in annotations else None
    handles = Handles()
    handles.dies_with_parent, handles.relayed = dies_with_parent, [1, 2]
    try:
        task = Task(config, "/bundle", here, handles, CGROUP, "example", endpoints)
        task.inherited = [*inherited.OF_CHILD, *inherited.OWN] if dies_with_parent else []
        plan = planner.plan(task)
        if omitted or chroot:
            omissions.omit(plan, handles, omitted, chroot=chroot)
    finally:
        handles.close()
    return plan


def _labelled() -> Plan:
    """Return the steps that start a program with security labels; a whole plan refuses labels on a host without LSM."""
    config = _whole(process={"apparmorProfile": "docker-default", "selinuxLabel": "system_u:system_r:container_t:s0"})
    handles = Handles()
    try:
        task = Task(config, "/bundle", HERE, handles, CGROUP, "example")
        return Plan([], program.begin(task, init.FORWARD))
    finally:
        handles.close()
