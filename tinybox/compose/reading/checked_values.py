"""Check the values of a service's options as `run` would: a compose file that `up` cannot carry out is refused early.

The host and the image are not asked here: a missing device or user name, or a port in use, is found by `up` itself.
"""

from __future__ import annotations

from tinybox.build import run_options
from tinybox.container.config import (
    device_option,
    life,
    network_checks,
    network_option,
    option_values,
    port_option,
    security_option,
    signal_option,
)
from tinybox.container.config.options import OF_ONE_FIELD
from tinybox.container.config.restart_policy import Policy
from tinybox.container.config.volumes import mount_option
from tinybox.errors import UsageError
from tinybox.isolation import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.compose.reading.service import Service

_SIZES = ("memory", "memory_reservation", "shm_size")
_TIMES = ("health_interval", "health_timeout", "health_start_period", "health_start_interval")


def _sysctl(text: str) -> object:
    return option_values.sysctl(text)


def _capability(text: str) -> object:
    return text.upper() == "ALL" or capabilities.named(text)


def _mount(text: str) -> object:
    """Read a value of --mount; the source of a bind mount need not exist yet."""
    fields = mount_option.fields_of(text)
    return fields if fields["type"] == "bind" else mount_option.mount(text)


_EACH: dict[str, Callable[[str], object]] = {  # options that are lists: each value alone
    "cap_add": _capability,
    "cap_drop": _capability,
    "device_cgroup_rule": device_option.device_rule,
    "mount": _mount,
    "network": network_option.fields,
    "publish": port_option.parsed,
    "sysctl": _sysctl,
    "tmpfs": mount_option.tmpfs,
    "ulimit": device_option.ulimit,
    "volume": mount_option.volume,
}
_WHOLE: dict[str, Callable[[Any], object]] = {
    "cpus": lambda text: option_values.number("cpus", text),
    "expose": port_option.exposed,
    "mac_address": network_checks.check_mac,
    "restart": Policy,
    "security_opt": security_option.parse,
    "stop_signal": lambda text: signal_option.signal_number("stop-signal", text),
    "stop_timeout": lambda text: option_values.whole("stop-timeout", text, -1, option_values.TIME_MOST),
    "health_retries": lambda text: option_values.whole("health-retries", text, 1, 1000),
}


def check(service: Service) -> None:
    """Raise UsageError for a value that `run` would refuse; it names the service, its line, and the option."""
    try:
        _check(service.options)
        for join in service.joins:
            network_checks.check_endpoint(network_option.fields(join.value(join.network, service)))
        if service.build is not None:
            run_options.checked(service.build.for_run)
    except UsageError as error:
        raise UsageError(f"{service.place}: services.{service.name}", str(error)) from error


def _check(options: dict[str, Any]) -> None:
    for key, parse in _EACH.items():
        for text in options.get(key, ()):
            parse(text)
    for key, parse in _WHOLE.items():
        if key in options:
            parse(options[key])
    for option in OF_ONE_FIELD:
        if option.key in options:
            parser, *bounds = option.parser
            getattr(option_values, parser)(option.name, options[option.key], *bounds)
    for keys, read in ((_SIZES, option_values.size), (_TIMES, life.duration)):
        for key in options.keys() & keys:
            read(key.replace("_", "-"), options[key])
    network_checks.names(options)
    network_option.mode(options)
