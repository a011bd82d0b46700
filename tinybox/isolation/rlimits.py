"""Resource limits of a process (--ulimit): the number of open files, the size of a core file ...; see getrlimit(2).

The kernel enforces the soft limit; the process may raise it up to the hard limit. Children inherit both.
"""

from __future__ import annotations

import resource

from tinybox.errors import HostError, UsageError

# OCI's and POSIX's names; the numbers are those of x86-64 and aarch64 (asm-generic/resource.h)
NAMES = (
    "RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE "
    "RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME"
).split()


def number(name: str) -> int:
    """Return the number of a limit such as ``RLIMIT_NOFILE``; UsageError: an unknown name; see getrlimit(2)."""
    if name not in NAMES:
        raise UsageError(f"limit {name}", "no such limit", "see getrlimit(2)")
    return NAMES.index(name)


def set_limit(name: str, soft: int, hard: int) -> None:
    """Set one limit of this process and its later children; -1, or OCI's 2**64 - 1, is unlimited; see setrlimit(2).

    HostError: the hard limit would rise, and this process lacks CAP_SYS_RESOURCE; root has it on most hosts, not all.
    """
    try:
        resource.setrlimit(number(name), (_signed(soft), _signed(hard)))
    except ValueError as error:
        _, most = resource.getrlimit(number(name))
        cure = f"at most {most} is possible; raising it needs CAP_SYS_RESOURCE, which this host's root lacks"
        raise HostError(f"limit {name}={hard}", "not permitted", cure) from error


def _signed(limit: int) -> int:
    """Return an unsigned number of 64 bits as the signed one that Python needs: all ones, unlimited, is -1."""
    return limit - 2**64 if limit >= 2**63 else limit
