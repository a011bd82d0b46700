"""``linux.memoryPolicy``: from which NUMA nodes a container's processes get memory; /proc/PID/numa_maps shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.oci_bundles import Bundle, bundle

__all__ = ["bundle"]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not Path("/proc/self/numa_maps").exists(), reason="the kernel knows no NUMA nodes"),
]

LOOK = "head -n 1 /proc/self/numa_maps"


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ({"mode": "MPOL_DEFAULT"}, "default"),
        ({"mode": "MPOL_LOCAL"}, "local"),
        ({"mode": "MPOL_BIND", "nodes": "0"}, "bind:0"),
        ({"mode": "MPOL_PREFERRED", "nodes": "0", "flags": []}, "prefer:0"),
        ({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "interleave=static:0"),
        ({"mode": "MPOL_BIND", "nodes": "0-0", "flags": ["MPOL_F_RELATIVE_NODES"]}, "bind=relative:0"),
    ],
)
def test_the_policy_is_that_of_the_config(bundle: Bundle, policy: dict[str, Any], shown: str) -> None:
    """The program has it, and an exec has it as well."""
    bundle.linux["memoryPolicy"] = policy
    assert bundle.says(LOOK).split()[1] == shown
    bundle.create("sleep 1000")
    assert bundle.oci("start", bundle.name).returncode == 0
    assert bundle.oci("exec", bundle.name, "sh", "-c", LOOK).stdout.split()[1] == shown


def test_without_it_the_policy_is_the_kernel_s(bundle: Bundle) -> None:
    """The control."""
    assert bundle.says(LOOK).split()[1] == "default"


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        ({"mode": "MPOL_NOSUCH"}, ("linux.memoryPolicy.mode", "MPOL_NOSUCH")),
        ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NOSUCH"]}, ("flags[0]", "MPOL_F_NOSUCH")),
        ({"mode": "MPOL_BIND", "nodes": "1-0"}, ("linux.memoryPolicy.nodes", "1-0")),
        ({"mode": "MPOL_BIND", "nodes": "x"}, ("linux.memoryPolicy.nodes", "'x'")),
        ({"mode": "MPOL_BIND", "nodes": "9999"}, ("linux.memoryPolicy.nodes", "9999")),
        ({"mode": "MPOL_BIND"}, ("memory-policy", "set_mempolicy")),
        ({"mode": "MPOL_LOCAL", "nodes": "0"}, ("memory-policy", "set_mempolicy")),
        ({"mode": "MPOL_BIND", "nodes": "1000"}, ("memory-policy", "set_mempolicy")),
        ({"nodes": "0"}, ("linux.memoryPolicy.mode", "is missing")),
    ],
)
def test_a_policy_that_cannot_be_applied_is_an_error(
    bundle: Bundle, policy: dict[str, Any], parts: tuple[str, str]
) -> None:
    """A mode, flag or list that is none; nodes where there must be none, or that the machine does not have."""
    bundle.linux["memoryPolicy"] = policy
    bundle.refused(*parts)
