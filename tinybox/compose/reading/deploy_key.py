"""The key `deploy` of a service, as far as one machine can do it, and `scale`: limits, restarts, number of containers.

docker compose ignores the rest of it in silence; here a note says so.
"""

from __future__ import annotations

from tinybox.compose.reading.life_keys import seconds
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service, ServiceContext

_CONFIG = ("parallelism", "delay", "failure_action", "monitor", "max_failure_ratio", "order")
_SWARM: dict[str, tuple[str, ...]] = {
    "mode": (),
    "endpoint_mode": (),
    "labels": (),
    "update_config": _CONFIG,
    "rollback_config": _CONFIG,
    "placement": ("constraints", "preferences", "max_replicas_per_node"),
}  # keys that only swarm obeys
_MOST = 1000  # containers of a service


def read(service: Service, field: Field, context: ServiceContext) -> None:
    """Read the limits, the restart policy and the number of containers."""
    parts = field.mapping(("resources", "replicas", "restart_policy", *_SWARM))
    ignored = [key for key in parts if key in _SWARM]
    for key in ignored:
        if _SWARM[key]:
            parts[key].mapping(_SWARM[key])
    if parts.get("mode") is not None and parts["mode"].text() not in ("replicated", "global"):
        raise parts["mode"].wrong(f"{parts['mode'].text()} is no mode for services", "replicated")
    if ignored:
        service.notes.append(f"deploy: {', '.join(ignored)} are for swarm, and ignored")
    if "replicas" in parts:
        scale(service, parts["replicas"], context)
    if "restart_policy" in parts:
        _restart(service, parts["restart_policy"])
    resources = parts["resources"].mapping(("limits", "reservations")) if "resources" in parts else {}
    if "limits" in resources:
        _amounts(service, resources["limits"], {"cpus": "cpus", "memory": "memory", "pids": "pids_limit"})
    if "reservations" in resources:
        names = {"cpus": "", "memory": "memory_reservation", "generic_resources": ""}
        held = resources["reservations"].mapping((*names, "devices"))
        if "devices" in held:
            raise held["devices"].wrong("tinybox reserves no GPUs", "devices: [/dev/NAME] gives a device of the host")
        _amounts(service, resources["reservations"], names)


def _restart(service: Service, field: Field) -> None:
    policy = field.mapping(("condition", "max_attempts", "delay", "window"))
    condition = policy["condition"].text() if "condition" in policy else "any"
    most = f":{policy['max_attempts'].text()}" if "max_attempts" in policy and condition == "on-failure" else ""
    service.options["restart"] = {"any": "always", "none": "no"}.get(condition, condition) + most
    for key in ("delay", "window"):
        if key in policy:
            service.add("annotation", f"tinybox.restart-{key}={round(seconds(policy[key]) * 1000)}")


def _amounts(service: Service, field: Field, names: dict[str, str]) -> None:
    """Set the options that *names* gives for the amounts; a key without an option matters on many hosts only."""
    for key, entry in field.mapping((*names, "devices")).items():
        if not names.get(key):
            service.notes.append(f"deploy: a reservation of {key} is ignored, because there is only one host")
            continue
        existing = service.options.setdefault(names[key], entry.text())
        if str(existing).lower() != entry.text().lower():
            raise entry.wrong(f"conflicts with {existing}, which another key of the service gives", "leave one out")


def scale(service: Service, field: Field, _: ServiceContext) -> None:
    """Read how many containers the service has; `deploy.replicas` and `scale` are two names for it."""
    text = field.text()
    if not is_whole(text) or int(text) > _MOST:
        raise field.wrong(f"{text} is no number of containers from 0 to {_MOST}")
    if service.scale not in (1, int(text)):
        raise field.wrong(f"conflicts with {service.scale}, which another key of the service gives", "leave one out")
    service.scale = int(text)
