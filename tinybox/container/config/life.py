"""Convert --restart, --stop-timeout, --log-opt, -i and --health-* to annotations, which the monitor reads.

OCI has no fields for these options.
"""

from __future__ import annotations

from tinybox import text_values
from tinybox.container.config import option_values
from tinybox.container.records import spec
from tinybox.errors import UnfitValueError, UsageError
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Options
    from tinybox.container.config.request import Request

_LONGEST = 1e9  # seconds, thirty years: longer than any wait of the kernel
_LEAST = 1e-3  # seconds, docker's MinimumDuration: there must be a pause between two checks
_HEALTH_TIMES = ("health-interval", "health-timeout", "health-start-period", "health-start-interval")
_HEALTH = ("health-cmd", "health-retries", *_HEALTH_TIMES)
_FORWARDING = ("syslog", "journald")  # log drivers that send the lines to another program, too


def for_monitor(request: Request) -> dict[str, str]:
    """Return the annotations for restart, stop, log, stdin and health check; UsageError names the wrong option."""
    options, made = request.options, dict[str, str]()
    if options.get("restart"):
        from tinybox.container.config.restart_policy import Policy

        if Policy(options["restart"]).name != "no" and options.get("rm"):
            raise UsageError(f"--restart {options['restart']}", "conflicts with --rm", "leave one of them out")
        made[spec.RESTART] = options["restart"]
    if options.get("stop_timeout"):
        made[spec.STOP_TIMEOUT] = str(
            option_values.whole("stop-timeout", options["stop_timeout"], -1, option_values.TIME_MOST)
        )
    if options.get("interactive"):
        made[spec.INTERACTIVE] = "true"
        if not options.get("detach"):
            made[spec.STDIN_ONCE] = "true"
    made |= _logging(options)
    health = _health(request)
    if health:
        made[spec.HEALTH] = json.dumps(health)
    return made


def _logging(options: Options) -> dict[str, str]:
    """Return the annotations of --log-driver and --log-opt; ``local`` is docker's with limits, and the same lines here.

    The lines for ``syslog`` and ``journald`` are kept, too, with the same limits.
    """
    driver, forwarded = options.get("log_driver") or "json-file", dict[str, str]()
    if driver == "none" and options.get("log_opt"):
        raise UsageError("--log-opt", "invalid logging opts for driver none", "leave it out")
    if driver not in ("json-file", "local", "none", *_FORWARDING):
        cure = "json-file, local, syslog, journald or none"
        raise UnfitValueError(f"--log-driver {driver}", "is no log driver of tinybox's", cure)
    made = {spec.LOG_DRIVER: driver} if driver in ("none", *_FORWARDING) else {}
    if driver in ("local", *_FORWARDING):
        made |= {spec.LOG_MAX_SIZE: str(20 << 20), spec.LOG_MAX_FILES: "5"}
    for text in options.get("log_opt") or ():
        key, value = option_values.pair("log-opt", text, "=", "write max-size=10m or max-file=3", UnfitValueError)
        if key == "max-size":
            made[spec.LOG_MAX_SIZE] = str(option_values.size("log-opt max-size", value, UnfitValueError))
        elif key == "max-file":
            made[spec.LOG_MAX_FILES] = str(option_values.whole("log-opt max-file", value, 1, 1000))
        elif key not in ("labels", "env"):  # those are for `logs --details`, which reads them with HostConfig
            if driver not in _FORWARDING:
                raise UnfitValueError(f"--log-opt {text}", "is unknown", "max-size, max-file, labels or env")
            forwarded[key] = value
    return made | (_forwarding(driver, forwarded) if driver in _FORWARDING else {})


def _forwarding(driver: str, options: dict[str, str]) -> dict[str, str]:
    """Return the annotation of the *options* of syslog or journald; UsageError: one of them is wrong."""
    from tinybox.container.config import log_options

    if wrong := log_options.misfit(options, driver):
        raise UnfitValueError(
            f"--log-driver {driver}", wrong, "--log-opt tag=, syslog-address=, -facility= or -format="
        )
    return {spec.LOG_FORWARD: json.dumps(options)}


def _health(request: Request) -> dict[str, Any] | None:
    """Return the settings of the health check with times in seconds; None if there is no check.

    An option has precedence over the image's value. Times in an image are in nanoseconds, as in docker.
    """
    options, image = request.options, request.image.config.get("Healthcheck") or {}
    if options.get("no_healthcheck"):
        for option in _HEALTH:
            if options.get(option.replace("-", "_")):
                raise UsageError("--no-healthcheck", f"conflicts with --{option}", "leave one of them out")
        return None
    _check_health(options)
    command = options.get("health_cmd")  # a text for the shell; from compose a list, as in an image
    chosen = ["CMD-SHELL", command] if isinstance(command, str) and command else command
    test = chosen or image.get("Test") or ["NONE"]
    if test[0] not in ("CMD", "CMD-SHELL") or len(test) < 2:  # NONE, or a test in the image that cannot be run
        return None

    def seconds(option: str, key: str, default: float) -> float:
        text = options.get(option.replace("-", "_"))
        requested = duration(option, text) if text else 0
        of_image = min((image.get(key) or 0) / 1e9, _LONGEST)  # an image may contain any number
        found = requested or of_image or default  # 0 means the default
        if found < _LEAST and (requested or of_image):
            thing = f"--{option} {text}" if requested else f"image {request.image.reference}"
            raise UnfitValueError(thing, f"{key} in Healthcheck cannot be less than 1ms", "30s is usual")
        return float(found)

    interval = seconds("health-interval", "Interval", 30)
    return {
        "test": ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:],
        "interval": interval,
        "timeout": seconds("health-timeout", "Timeout", 30),
        "startPeriod": seconds("health-start-period", "StartPeriod", 0),
        "startInterval": seconds("health-start-interval", "StartInterval", min(5, interval)),
        "retries": option_values.whole(
            "health-retries", options.get("health_retries") or str(image.get("Retries") or 3), 1, 1000
        ),
    }


def _check_health(options: Options) -> None:
    """Check the values of the options of a health check, also if there is none; UsageError names the wrong one."""
    for option in _HEALTH_TIMES:
        if text := options.get(option.replace("-", "_")):
            duration(option, text)
    if text := options.get("health_retries"):
        option_values.whole("health-retries", text, 0, 1000, UsageError)


def duration(option: str, text: str) -> float:
    """Return a time such as ``1m30s`` or ``500ms`` in seconds; a number without a unit is an error, as in docker."""
    found = text_values.duration(text or "0s")
    if found is None:
        raise UsageError(f"--{option} {text}", "is not a time", "write 30s, 1m30s or 500ms")
    if found > _LONGEST * 1e9:
        raise UsageError(f"--{option} {text}", "is too long a time", "30s is usual")
    return found / 1e9
