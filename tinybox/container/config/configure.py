"""Convert the image's config and docker's options to an OCI config.json: program, environment, host name, annotations.

This only builds data; the planner decides how to do it, and the engine does it. Docker's defaults for every container
are here and in mounts.py, linux.py and limits.py.
"""

from __future__ import annotations

from tinybox.container.config import life, linux, mounts, networking, option_values, security_option, signal_option
from tinybox.container.config.options import OF_ONE_FIELD
from tinybox.container.process import init
from tinybox.container.records import spec
from tinybox.errors import UnfitValueError, UsageError
from tinybox.isolation import capabilities
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import overlay_marks
from tinybox.text_values import truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Options
    from tinybox.container.config.request import Request
    from tinybox.container.records.spec_types import Process, Spec

_AS_WRITTEN = tuple(  # options that inspect shows as they were written; see asked.py
    "user pid ipc uts network cgroupns userns cap_add cap_drop security_opt group_add device device_cgroup_rule "
    "device_read_bps device_write_bps device_read_iops device_write_iops blkio_weight_device volume mount tmpfs sysctl "
    "publish publish_all log_driver log_opt cpu_quota cpu_period annotation "
    "workdir stop_signal".split()
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def configure(request: Request) -> Spec:
    """Return the config.json of the container that *request* describes; UsageError names the option that is wrong."""
    options, variables = request.options, _asked_environment(request)
    config: Spec = {
        "ociVersion": spec.OCI_VERSION,
        "process": _process(request, variables),
        "root": {"path": "rootfs", "readonly": bool(options.get("read_only"))},
        "mounts": mounts.mounts(request),
        "annotations": _annotations(request),
        "linux": linux.linux(request),
    }
    if request.modes["uts"] == "private":
        config["hostname"] = _hostname(request)
    else:
        for key in filter(options.get, ("hostname", "domainname")):
            raise UnfitValueError(f"--{key} {options[key]}", f"conflicts with --uts {request.modes['uts']}")
    put_fields(config, options)
    if request.podman_users is not None and request.home_ids is not None:
        from tinybox.container.config import podman_users

        spec.set_id_maps(
            config, podman_users.annotation(request.podman_users, request.home_ids, request.image.layers, request.user)
        )
    is_written = any(map(options.get, _AS_WRITTEN)) or any(
        map(request.image.config.get, ("User", "Volumes", "WorkingDir", "StopSignal"))
    )
    if is_written or any(map(variables.__contains__, spec.GIVEN)):
        from tinybox.container.config import asked

        config["annotations"][spec.ASKED] = asked.as_text(request, variables)
    return config


def put_fields(config: Spec, options: Options) -> None:
    """Write each of the *options* that has a parser in the table of options to its field of *config*."""
    for option in OF_ONE_FIELD:
        text = options.get(option.key)
        if text is None:
            continue
        parser, *bounds = option.parser
        value = getattr(option_values, parser)(option.name, text, *bounds)
        if value is not None:
            *sections, name = option.path
            place: dict[str, Any] = config  # type: ignore[assignment]
            for section in sections:
                place = place.setdefault(section, {})
            place[name] = value


def _hostname(request: Request) -> str:
    """Return the box's host name; a box that shares another box's network has that box's name, as in docker."""
    requested, shared = request.options.get("hostname"), request.modes["network"].partition("container:")[2]
    if not shared:
        if requested and (" " in requested or not requested.isprintable()):  # it becomes part of a line of /etc/hosts
            raise UnfitValueError(f"--hostname {requested!r}", "invalid hostname format", "one word")
        return requested or request.container[:12]
    if requested:
        cause = f"conflicting options: hostname and the network mode {request.modes['network']}"
        raise UnfitValueError(f"--hostname {requested}", cause, "leave one of them out")
    return request.find_hostname(shared)


def everything_permitted() -> list[str]:
    """Return the names of all capabilities that this host's root has; ``--privileged`` gives all of them."""
    return capabilities.available()


def entrypoint(request: Request) -> list[str]:
    """Return the arguments before the command: the user's entrypoint (none if it is empty), else the image's."""
    requested = request.options.get("entrypoint")
    if requested is not None:
        return [requested] if requested else []
    return [*(request.image.config.get("Entrypoint") or [])]


def arguments(request: Request) -> list[str]:
    """Return the program and its arguments: the entrypoint and the command.

    The image's command is used only with the image's entrypoint. UsageError if there are no arguments at all.
    """
    command = request.command or ()
    if not command and request.options.get("entrypoint") is None:
        command = request.image.config.get("Cmd") or ()
    found = [*entrypoint(request), *command]
    if not found:
        raise UsageError(f"image {request.image.reference}", "names no command to run", "add one after the image")
    return found


def _process(request: Request, variables: dict[str, str]) -> Process:
    options = request.options
    terminal = bool(options.get("tty"))
    security = security_option.parse(options.get("security_opt") or ())
    permitted = linux.capabilities_of(request)
    process: Process = {
        "terminal": terminal,
        "user": request.user,
        "args": arguments(request),
        "env": _environment(request, variables, terminal=terminal),
        "cwd": options.get("workdir") or request.image.config.get("WorkingDir") or "/",
        "capabilities": {
            "bounding": permitted,  # the most that execve(2) can give; a user other than root has none of it at first
            "effective": permitted if request.user["uid"] == 0 else [],
            "permitted": permitted if request.user["uid"] == 0 else [],
        },
        "noNewPrivileges": security.no_new_privileges,
    }
    if security.apparmor:
        process["apparmorProfile"] = security.apparmor
    if not process["cwd"].startswith("/"):
        raise UnfitValueError(f"--workdir {process['cwd']}", "is not an absolute path")
    if terminal:
        from tinybox.isolation.terminal import window

        rows, columns = window()
        if rows or columns:  # docker's client sends the size, too: HostConfig.ConsoleSize
            process["consoleSize"] = {"height": rows, "width": columns}
    if options.get("ulimit"):
        from tinybox.container.config import device_option

        process["rlimits"] = [device_option.ulimit(text) for text in options["ulimit"]]
    return process


def _asked_environment(request: Request) -> dict[str, str]:
    """Return the variables that the user sets, and then those that only the image sets."""
    asked = option_values.environment(request.options.get("env") or [], request.options.get("env_file") or [])
    for line in request.image.config.get("Env") or []:
        name, _, value = line.partition("=")
        asked.setdefault(name, value)
    return asked


def _environment(request: Request, asked: dict[str, str], *, terminal: bool) -> list[str]:
    """Return the program's environment: the *asked* variables, and those of docker's that they lack."""
    variables = {"PATH": PATH}
    if request.modes["uts"] == "private":
        variables["HOSTNAME"] = _hostname(request)
    if terminal:
        variables["TERM"] = "xterm"
    variables |= asked
    variables.setdefault("HOME", request.home)
    return [f"{name}={value}" for name, value in variables.items()]


def _annotations(request: Request) -> dict[str, str]:
    options, image = request.options, request.image
    asked = options.get("init") or init.FORWARD
    mode = {True: init.FORWARD, False: init.NONE, None: asked}[truth(asked)]  # docker's --init is true or false
    if mode not in init.MODES:
        raise UsageError(f"--init={mode}", "is not a mode of PID 1", "forward, reap or none")
    stop_signal = options.get("stop_signal") or image.config.get("StopSignal") or "SIGTERM"
    signal_option.signal_number("stop-signal", stop_signal)
    annotations = {
        spec.NAME: request.name,
        spec.IMAGE: image.id,
        spec.IMAGE_NAME: image.asked,
        spec.LAYERS: ":".join(image.layers),
        spec.INIT: mode,
        spec.STOP_SIGNAL: stop_signal,
    }
    annotations |= _storage() if overlay_marks.refused else {}
    if first := entrypoint(request):
        annotations[spec.ENTRYPOINT] = str(len(first))
    if options.get("user"):
        annotations[spec.USER] = options["user"]
    if options.get("group_add"):
        annotations[spec.GROUP_ADD] = json.dumps(options["group_add"])
    annotations |= life.for_monitor(request)
    annotations |= networking.for_networks(request)
    if options.get("cidfile"):
        annotations[spec.CIDFILE] = options["cidfile"]
    if options.get("volumes_from"):
        annotations[spec.VOLUMES_FROM] = json.dumps(options["volumes_from"])
    if options.get("rm"):
        annotations[spec.REMOVE] = "true"
        if "ready_mounts" not in options:  # of a build, whose files become a layer
            annotations[spec.VOLATILE] = "true"
    if any("image" in text for text in options.get("mount") or ()):
        from tinybox.container.config.volumes import user_mounts

        annotations |= user_mounts.of_images(request)
    return annotations | _labels(request) | _own_annotations(options)


def _labels(request: Request) -> dict[str, str]:
    """Return the annotations for the labels of the image, of --label-file and of --label; the last one counts."""
    options = request.options
    labels = [f"{key}={value}" for key, value in (request.image.config.get("Labels") or {}).items()]
    if options.get("label_file"):
        from tinybox.container.config import line_files

        labels += line_files.of_each(options["label_file"], "label-file")
    pairs = [label.partition("=")[::2] for label in [*labels, *(options.get("label") or ())]]
    if wrong := [value for key, value in pairs if not key]:
        raise UsageError(f"--label ={wrong[0]}", "has no name before the =")
    return {spec.LABEL + key: value for key, value in pairs}


def _own_annotations(options: Options) -> dict[str, str]:
    """Return the annotations of --annotation; UsageError for names that have a meaning for tinybox itself."""
    made = {}
    for text in options.get("annotation") or ():
        name, value = option_values.pair("annotation", text, "=", "write NAME=VALUE")
        if name in spec.FOR_USERS:
            option_values.whole(f"annotation {name}", value, 0, option_values.TIME_MOST)
        elif name.startswith("tinybox."):
            raise UnfitValueError(f"--annotation {text}", "is a name of tinybox's own", "begin it with another word")
        made[name] = value
    return made


def _storage() -> dict[str, str]:
    """Return the annotation of a box whose layers are copied: the kernel refuses an overlay, and FUSE has none."""
    from tinybox.linux.filesystem import overlay_refusal

    return {spec.COPIED: "true"} if overlay_refusal.fuse_missing()[0] else {}
