"""Options of `build` that hold for the container of each RUN: --add-host, --shm-size, --ulimit and --cgroup-parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.container.config import device_option, network_checks, option_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

KEYS = ("add_host", "shm_size", "ulimit", "cgroup_parent")  # those of the command, and of `tinybox run`
_OF_RESULT = ("add_host", "shm_size", "ulimit")  # a program may see them, so its result may depend on them


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of KEYS that *options* have, as options of `run`; UsageError names a value that is wrong.

    They are checked here, before the first step, and not when the first RUN is carried out.
    """
    found: dict[str, Any] = {key: _as_given(options[key]) for key in KEYS if options.get(key)}
    network_checks.names(found)
    for text in found.get("ulimit", ()):
        device_option.ulimit(text)
    if "shm_size" in found:
        option_values.size("shm-size", found["shm_size"])
    if "cgroup_parent" in found:
        option_values.cgroup_parent("cgroup-parent", found["cgroup_parent"])
    return found


def _as_given(value: str | Sequence[str]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def of_result(options: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the part of the cache's key for these *options*; none if there are none: other builds keep their keys."""
    found = {key: options[key] for key in _OF_RESULT if key in options}
    return (found,) if found else ()
