"""Limits of each process, as old as Unix: so many open files, so large a core; see getrlimit(2).

The soft limit is what counts, the hard one how far the process may raise it by itself. Children inherit both.
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
    """Return the number of the limit that OCI calls ``RLIMIT_NOFILE``; UsageError for an unknown name; getrlimit(2)."""
    if name not in NAMES:
        raise UsageError(f"limit {name}", "no such limit", "see getrlimit(2)")
    return NAMES.index(name)


def set_limit(name: str, soft: int, hard: int) -> None:
    """Set one limit of this process and of all to come; -1, or OCI's 2**64 - 1, is unlimited; see setrlimit(2).

    Raising a hard limit needs CAP_SYS_RESOURCE, which even root does not have everywhere: HostError says so.
    """
    try:
        resource.setrlimit(number(name), (_word(soft), _word(hard)))
    except ValueError as error:
        _, most = resource.getrlimit(number(name))
        cure = f"at most {most} can be had; raising it needs CAP_SYS_RESOURCE, which this host's root lacks"
        raise HostError(f"limit {name}={hard}", "not permitted", cure) from error


def _word(limit: int) -> int:
    """Return an unsigned number of 64 bits as Python takes it, with a sign: unlimited, all ones, is -1."""
    return limit - 2**64 if limit >= 2**63 else limit
