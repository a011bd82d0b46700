"""Plans are plain data, made from a spec and a host, without root and without a kernel."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.container.planning import network, planner
from tinybox.container.planning.task import Task
from tinybox.container.process.handles import Handles
from tinybox.container.process.plan import Plan, Step
from tinybox.container.records import host, spec
from tinybox.errors import HostError, StepError, TinyboxError, UsageError
from tinybox.isolation import capabilities, overlay
from tinybox.isolation.cgroups.group import Cgroup
from tinybox.isolation.cgroups.hierarchies import Hierarchies
from tinybox.seeing import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.container.records.spec_types import Spec

V2 = Hierarchies("/sys/fs/cgroup", ["cpu", "io", "memory", "pids", "cpuset"], {})
HERE = host.Host((6, 1), V2, capabilities.DEFAULT, (0, 0, 0))
SPEC: Any = {
    "ociVersion": "1.2.0",
    "process": {
        "args": ["sh"],
        "cwd": "/",
        "user": {"uid": 0, "gid": 0},
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities.DEFAULT),
    },
    "root": {"path": "rootfs"},
    "hostname": "box",
    "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/dev", "type": "tmpfs"}],
    "annotations": {spec.LAYERS: "/store/a:/store/b", spec.INIT: "forward"},
    "linux": {
        "namespaces": [{"type": kind} for kind in ("mount", "pid", "network", "ipc", "uts", "cgroup")],
        "maskedPaths": ["/proc/kcore"],
    },
}


@pytest.fixture
def handles() -> Iterator[Handles]:
    """Give handles that are closed afterwards."""
    parts = Handles()
    yield parts
    parts.close()


def planned(config: Spec, handles: Handles, here: host.Host = HERE) -> Plan:
    """Plan *config* on *here*."""
    return planner.plan(Task(config, "/bundle", here, handles, Cgroup("tinybox/test", here.hierarchies)))


def changed(**parts: Any) -> Spec:
    """Return the spec with keys of its sections replaced: ``changed(linux={...})``."""
    config: Any = copy.deepcopy(SPEC)
    for section, values in parts.items():
        config[section] = {**config[section], **values} if isinstance(values, dict) else values
    result: Spec = config
    return result


def names(steps: list[Step]) -> list[str]:
    """Return the steps' names, in order."""
    return [step.name for step in steps]


def test_the_order_that_makes_a_container(handles: Handles) -> None:
    """Limits come before the clone, private mounts before the first mount, capabilities last before the program."""
    plan = planned(changed(linux={"resources": {"memory": {"limit": 1 << 25}}}), handles)
    parent, child = names(plan.parent), names(plan.child)
    assert (
        parent.index("limit-memory.max") < parent.index("open-cgroup") < parent.index("clone") < parent.index("release")
    )
    order = [
        "die-with-parent",
        "wait",
        "private-mounts",
        "root",
        "mount/proc",
        "pivot",
        "masked-paths",
        "bounding-set",
        "identity",
    ]
    order += ["capabilities", "find-program", "hide", "die-with-parent-again", "ready", "close", "name", "program"]
    assert [name for name in child if name in order] == order


def test_every_step_can_be_explained(handles: Handles) -> None:
    """Each has a sentence, a manual page, and a name of its own."""
    plan = planned(SPEC, handles)
    steps = [*plan.parent, *plan.child]
    assert all(step.says and "(" in step.manual and step.call() for step in steps)
    assert len(set(names(steps))) == len(steps)
    assert len(plan.lines()) == len(steps)


def test_the_lower_directories_are_given_top_first() -> None:
    """OCI lists layers from the bottom, overlayfs from the top; colons and commas in paths are escaped."""
    data = overlay.data(["/a", "/b:c,d"], "/upper", "/work", userns=False)
    assert data.startswith("lowerdir=/b\\:c\\,d:/a,upperdir=/upper,workdir=/work,")
    assert overlay.data(["/a"], "/u", "/w", userns=True).endswith(",userxattr")


def test_the_upper_directory_stays_readable_as_a_layer() -> None:
    """A host whose defaults are redirects and metadata-only copies does not get them in tinybox's upper directory."""
    assert overlay.data(["/a"], "/u", "/w", userns=False).endswith(",redirect_dir=nofollow,metacopy=off")


def test_where_overlays_are_refused_a_process_serves_the_root(handles: Handles) -> None:
    """It is started before the child is made; a copy needs none; a user namespace of the box's own is an error."""
    here = host.Host((6, 1), V2, capabilities.DEFAULT, (0, 0, 0), refuses_overlay=True)
    plan = planned(SPEC, handles, here)
    outside = names(plan.parent)
    assert outside.index("serve-root") < outside.index("clone")
    assert next(step.manual for step in plan.child if step.name == "root") == "move_mount(2)"
    assert "serve-root" not in names(planned(SPEC, handles).parent)
    copied = planned(changed(annotations={spec.COPIED: "true"}), handles, here)
    assert "serve-root" not in names(copied.parent)
    assert next(step.says for step in copied.child if step.name == "root").startswith("Make the copy")
    kinds = [*SPEC["linux"]["namespaces"], {"type": "user"}]
    with pytest.raises(HostError, match="a user namespace of its own: the file system of the store refuses overlays"):
        planned(changed(linux={"namespaces": kinds}), handles, here)


def test_a_layer_that_is_listed_twice_is_stacked_once() -> None:
    """Overlayfs refuses a directory that is twice in its stack; the upper one of the two hides the lower one."""
    assert overlay.stack(["/a", "/b", "/a", "/c"]) == ["/b", "/a", "/c"]
    assert "lowerdir=/a:/b," in overlay.data(["/a", "/b", "/a"], "/u", "/w", userns=False)


def test_host_namespaces_are_not_made(handles: Handles) -> None:
    """Without a pid namespace the first process is not PID 1: it becomes a subreaper; without uts no name is set."""
    plan = planned(changed(linux={"namespaces": [{"type": "mount"}]}), handles)
    assert "subreaper" in names(plan.child)
    assert not {"hostname", "loopback", "cgroup-namespace"} & set(names(plan.child))


def test_joined_namespaces_are_opened_by_the_parent_and_entered_by_the_child(handles: Handles) -> None:
    """A pid namespace is entered last, by one more process: until then the child is outside, and has no rights left."""
    joined = [{"type": "mount"}, {"type": "pid", "path": "/proc/7/ns/pid"}, {"type": "ipc", "path": "/proc/7/ns/ipc"}]
    plan = planned(changed(linux={"namespaces": joined}), handles)
    parent, child = names(plan.parent), names(plan.child)
    assert [name for name in parent if name in ("clone", "await-namespaces", "release", "adopt", "go-on-inside")] == [
        "clone", "await-namespaces", "release", "adopt", "go-on-inside",
    ]  # fmt: skip
    order = [
        "join-pid",
        "unshare",
        "join-ipc",
        "pivot",
        "identity",
        "capabilities",
        "hide",
        "name",
        "go-inside",
        "ready",
    ]
    assert [name for name in child if name in order] == order
    assert not {"join-pid", "unshare", "go-inside"} & set(names(planned(SPEC, handles).child))


def test_a_shared_mount_namespace_keeps_its_root(handles: Handles) -> None:
    """Joined or inherited: the parent places the root, and removes it again; the child never pivots there."""
    for shared in ([], [{"type": "mount", "path": "/proc/7/ns/mnt"}]):
        config = changed(linux={"namespaces": shared})
        config["annotations"] = {}
        plan = planned(config, handles)
        (step,) = [step for step in plan.parent if step.name == "share-root"]
        assert step.undo is not None
        assert "own-root" in names(plan.child)
        assert not {"pivot", "private-mounts", "root"} & set(names(plan.child))
        assert ("join-mount" in names(plan.child)) == bool(shared)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"linux": {"namespaces": [{"type": "mount"}, {"type": "mounts"}]}}, "linux.namespaces: mounts"),
        ({"linux": {"namespaces": [{"type": "pid"}]}}, "linux.namespaces: mount"),
        ({"mounts": [{"destination": "/", "type": "tmpfs"}]}, "mount on /"),
        ({"mounts": [{"destination": "/proc/../proc/sys", "type": "tmpfs"}]}, "covers /proc"),
        ({"process": {"rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}}, "limit RLIMIT_X"),
    ],
)
def test_an_impossible_spec_is_refused_before_anything_is_made(
    handles: Handles, parts: dict[str, Any], complaint: str
) -> None:
    """A spec that cannot be carried out is an error of the planner that names the field."""
    with pytest.raises(UsageError, match=complaint):
        planned(changed(**parts), handles)


def test_an_unavailable_capability_is_left_out_with_a_warning(handles: Handles) -> None:
    """Capabilities that this host's root lacks, or no kernel knows, are named in warnings; the rest is granted."""
    words = ["CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_FLY"]
    plan = planned(changed(process={"capabilities": dict.fromkeys(("bounding", "permitted"), words)}), handles)
    assert plan.warnings == [
        "process.capabilities: CAP_FLY: there is no such capability",
        "process.capabilities: CAP_SYS_ADMIN: this host's root does not have it",
    ]
    assert planned(SPEC, handles).warnings == []


def test_an_old_kernel_is_refused() -> None:
    """Linux before 5.12 is refused by name."""
    with pytest.raises(HostError, match=r"kernel 4\.19: tinybox needs Linux 5\.12"):
        host.Host((4, 19), V2, []).check()


def test_a_failed_step_has_its_name_and_the_kernels_error() -> None:
    """An OSError from a step becomes a StepError with the step's name, sentence and manual page."""
    step = Step("pivot", "Change the root", "pivot_root(2)", lambda: os.stat("/no/such/file"))
    with pytest.raises(
        StepError, match=r"pivot: No such file or directory: /no/such/file \(Change the root; see pivot"
    ):
        step.run()
    with pytest.raises(TinyboxError, match="already clear"):
        Step("x", "y", "z(2)", lambda: (_ for _ in ()).throw(TinyboxError("thing", "already clear"))).run()


def test_what_can_be_undone_says_so() -> None:
    """Every step with an undo has a sentence for it, and no other has: `run --explain` shows it beside the step."""
    told: dict[str, str] = {}
    for plan in sample.plans():
        for step in [*plan.parent, *plan.child]:
            assert bool(step.undo_says) == (step.undo is not None), step
            if step.undo:
                told[step.name] = step.undo_says
    assert told.keys() == {
        *("ports", "addresses", "cgroup", "clone", "outer", "share-root", "net-devices", "resctrl", "volume/data"),
        "serve-root",
    }
    assert told["cgroup"] == "SIGKILL for every process in it, then rmdir(2)"


@pytest.mark.parametrize(
    ("parameter", "waits"),
    [
        ("net.ipv4.ip_unprivileged_port_start", False),
        ("net.ipv4.ping_group_range", False),
        ("net/core/somaxconn", False),
        ("kernel.shmmax", False),
        ("net.ipv4.ip_forward", True),
        ("net.ipv4.conf.eth0.forwarding", True),
        ("net/ipv6/conf/eth0/disable_ipv6", True),
        ("net.ipv4.neigh.default.gc_stale_time", True),
    ],
)
def test_a_parameter_of_links_is_set_when_they_are_there(parameter: str, waits: bool) -> None:
    """Any other parameter is set without a wait: docker's two are in nearly every box."""
    assert network.names_links(parameter) == waits
