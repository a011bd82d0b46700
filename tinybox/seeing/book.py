"""The page of the book for one step: what it does, its call, its manual, the lines of code, and what is without it.

Nothing of it is written here: sentences and arguments come from a plan, the rest from docstrings and from the code
itself, so that it cannot become untrue by itself.
"""

from __future__ import annotations

import difflib
import inspect
import os
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.container import planner, spec
from tinybox.container.host import Host
from tinybox.container.live import Live
from tinybox.container.omissions import OMISSIONS
from tinybox.errors import UsageError
from tinybox.isolation import capabilities
from tinybox.isolation.cgroup import Cgroup
from tinybox.isolation.cgroup_hierarchies import Hierarchies
from tinybox.seeing.stepping import means

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tinybox.container.plan import Step
    from tinybox.container.spec import Spec

WIDTH = 100
KINDS = ("mount", "pid", "network", "ipc", "uts", "cgroup")
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))

_PROCESS = {
    "args": ["sh"],
    "cwd": "/",
    "user": {"uid": 0, "gid": 0},
    "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities.DEFAULT),
    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}],
    "oomScoreAdj": 100,
}
_LINUX = {
    "namespaces": [{"type": kind} for kind in KINDS],
    "maskedPaths": ["/proc/kcore"],
    "readonlyPaths": ["/proc/sys"],
    "sysctl": {"net.ipv4.ip_forward": "0"},
    "resources": {"memory": {"limit": 32 << 20}, "pids": {"limit": 64}, "devices": [{"allow": False, "access": "rwm"}]},
    "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}],
}
_MOUNTS = [
    {"destination": "/proc", "type": "proc"},
    {"destination": "/dev", "type": "tmpfs"},
    {"destination": "/sys/fs/cgroup", "type": "cgroup"},
    {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind"]},
]
_USERS = [{"containerID": 0, "hostID": 524288, "size": 65536}]


class Entry(NamedTuple):
    """A step as it stands in a plan, and who does it."""

    lane: str
    step: Step


def example(*, users: bool, terminal: bool, filtered: bool, readonly: bool) -> Spec:
    """Return a spec that asks for something of each kind, as far as one container can."""
    process: dict[str, Any] = {**_PROCESS, "terminal": terminal, "noNewPrivileges": not filtered}
    linux: dict[str, Any] = dict(_LINUX)
    if users:
        linux |= {
            "namespaces": [{"type": kind} for kind in ("user", *KINDS)],
            "uidMappings": _USERS,
            "gidMappings": _USERS,
        }
    if filtered:
        linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
    if not users and readonly:
        linux["namespaces"] = [
            {"type": "mount"},
            *({"type": kind, "path": f"/proc/1/ns/{kind}"} for kind in ("pid", "ipc")),
        ]
    whole: Any = {
        "ociVersion": spec.OCI_VERSION, "process": process, "root": {"path": "rootfs", "readonly": readonly},
        "hostname": "box", "mounts": _MOUNTS, "linux": linux,
        "annotations": {spec.LAYERS: "/layers/a:/layers/b", spec.INIT: "forward"},
    }  # fmt: skip
    answer: Spec = whole
    return answer


def entries() -> list[Entry]:
    """Return every step that a plan can have, once each, in the order of the plans; needs no root and no image."""
    hierarchies = Hierarchies("/sys/fs/cgroup", ["cpu", "io", "memory", "pids", "cpuset"], {})
    here = Host((6, 1), hierarchies, list(capabilities.DEFAULT), (0, 0, 0))
    found: dict[tuple[str, str], Entry] = {}
    for users, terminal, filtered, readonly in (
        (False, False, True, False),
        (True, True, False, False),
        (False, True, True, True),
    ):
        live = Live()
        try:
            config = example(users=users, terminal=terminal, filtered=filtered, readonly=readonly)
            plan = planner.plan(config, "/bundle", here, live, Cgroup("tinybox/example", hierarchies))
        finally:
            live.close()
        for lane, steps in (("host", plan.parent), ("box", plan.child)):
            for step in steps:
                found.setdefault((lane, step.name), Entry(lane, step))
    return list(found.values())


def find(word: str) -> list[Entry]:
    """Return the steps that *word* means, by name or manual page; UsageError with the nearest names if none."""
    every = entries()
    found = [entry for entry in every if means(word, entry.step.name, entry.step.manual)]
    if not found:
        near = difflib.get_close_matches(word, [entry.step.name for entry in every])
        raise UsageError(f"step {word}", "there is no such step", ", ".join(near) or "tinybox explain lists them")
    return found


def table() -> Iterator[str]:
    """Yield the list of all steps: who does it, its name, its sentence; and what can be left out."""
    for entry in entries():
        said = textwrap.shorten(entry.step.says, WIDTH - 42, placeholder=" ...")
        yield f"{entry.lane:5} {entry.step.name:34} {said}"
    yield ""
    yield f"Can be left out by `run --omit`: {', '.join(OMISSIONS)}"


def pages(word: str) -> Iterator[str]:
    """Yield the pages of the steps that *word* means."""
    for number, entry in enumerate(find(word)):
        if number:
            yield "\n" + "-" * WIDTH + "\n"
        yield from page(entry)


def page(entry: Entry) -> Iterator[str]:
    """Yield the page of one step."""
    step, act = entry.step, entry.step.act
    yield f"{step.name}: {step.says}"
    yield f"done by: {entry.lane}; see {step.manual}"
    yield ""
    yield from _paragraph("What the kernel does", _idea(inspect.getmodule(act)))
    yield from _paragraph("What the step does", inspect.getdoc(act) or "")
    yield "The call"
    yield from textwrap.wrap(step.call(), WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    yield ""
    without = [
        f"{omission.warns} Try it: tinybox run --omit {omission.name} ..."
        for omission in OMISSIONS.values()
        if omission.covers(step)
    ]
    yield from _paragraph("Without it", " ".join(without))
    lines, first = inspect.getsourcelines(act)
    yield f"The lines: {os.path.relpath(inspect.getsourcefile(act) or '', CHECKOUT)}:{first}"
    yield from (f"{number:5}  {line.rstrip()}" for number, line in enumerate(lines, first))


def _idea(module: ModuleType | None) -> str:
    return inspect.getdoc(module) or ""


def _paragraph(title: str, text: str) -> Iterator[str]:
    if text:
        yield title
        for part in text.split("\n\n"):
            yield from textwrap.wrap(part, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
            yield ""
