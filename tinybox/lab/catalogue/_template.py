"""A box has a host name of its own: replace this line by your subject.

Two or three sentences that you read aloud come here: what the kernel does, and where the students can see it. This
template is a lab that works. A box gets a UTS namespace, which holds the host name. So a box can have another name than
the host, and changing it does not change the host's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import inside
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench


def introduce() -> None:
    """In the box: send the host name, and stay until the lab has looked; such a function must not import."""
    inside.send(os.uname().nodename)
    inside.receive_line()


def check(bench: Bench, *, feature: bool) -> None:
    """Measure with the feature; without it, for the control, a claim must fail."""
    with bench.box(introduce, uts="private" if feature else "host") as box:
        host_name = bench.on_host("host name", os.uname().nodename, "uname -n")
        box_name = bench.in_box("host name", box.receive(), "uname -n")
        links = [os.readlink(f"/proc/{pid}/ns/uts") for pid in ("self", box.program)]
        bench.on_host("UTS namespace", links[0], "readlink /proc/self/ns/uts")
        bench.on_host("the box's UTS namespace", links[1], f"readlink /proc/{box.program}/ns/uts")
    bench.claim("the box has another host name than the host", box_name != host_name)
    bench.claim("because it is in another UTS namespace", links[0] != links[1])


LAB = Lab(
    question="What does `uname -n` print in a box, and what on the host?",
    answer="Two names: the name is kept in the UTS namespace, and the box has one of its own.",
    control="no UTS namespace of its own (--uts host): the box has the name of the host",
    check=check,
)
