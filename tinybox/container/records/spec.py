"""config.json of the OCI runtime specification: tinybox's annotations, load and save; its types: spec_types.py.

A bundle is a directory with a config.json and a root file system. tinybox runs only bundles, so runc or crun can run
the same bundle. The section names in the docstrings are those of the runtime-spec 1.1.
"""

from __future__ import annotations

import os

from tinybox.errors import DamagedError, UsageError
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import own_files, ownership

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import IdMaps, Mount, Spec

NEWEST = "1.3.0"  # the newest version of the specification whose keys tinybox knows completely
OCI_VERSION = "1.1.0"  # the oldest version with all keys that tinybox writes; older crun refuses unknown versions
CAPABILITY_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")

# Annotations: the values of docker's options that have no key in OCI's config.json. Other runtimes ignore them.
LAYERS = "tinybox.layers"  # directories, bottom first, separated by ":"; the overlay's upper is in the bundle
COPIED = "tinybox.copied"  # its root is a copy of these layers: no overlay can be had in the store
IMAGE = "tinybox.image"
IMAGE_NAME = "tinybox.image-name"
MOUNTED_IMAGE = "tinybox.mounted-image."  # and the id of an image that --mount type=image shows: its name
NAME = "tinybox.name"
ENTRYPOINT = "tinybox.entrypoint"  # how many of the arguments are the entrypoint; the others are the command
USER = "tinybox.user"  # the text of --user; absent if the user is the image's
GROUP_ADD = "tinybox.group-add"  # JSON: a list, as --group-add was written
INIT = "tinybox.init"
REMOVE = "tinybox.remove"
VOLATILE = "tinybox.volatile"  # its files need not outlive a crash of the host: they are removed at its end
CIDFILE = "tinybox.cidfile"  # as --cidfile was written
CGROUP_PARENT = "tinybox.cgroup-parent"  # the path of the group in which its group is, without a leading slash
OPTION_VOLUMES = "tinybox.option-volumes"  # JSON: the directories of its volumes that have options
VOLUMES_FROM = "tinybox.volumes-from"  # JSON: a list, as --volumes-from was written
CREATED = "tinybox.created"
STOP_SIGNAL = "tinybox.stop-signal"
STOP_TIMEOUT = "tinybox.stop-timeout"  # seconds
RESTART = "tinybox.restart"  # no, on-failure[:N], always, unless-stopped
RESTART_DELAY = "tinybox.restart-delay"  # ms before each restart, in place of a delay that doubles
RESTART_WINDOW = "tinybox.restart-window"  # ms after which a run has succeeded, and restarts are counted from 0 again
LOG_DRIVER = "tinybox.log-driver"  # none: the output is kept nowhere; syslog, journald: it goes there, too
LOG_FORWARD = "tinybox.log-forward"  # JSON: the options of that driver
LOG_MAX_SIZE = "tinybox.log-max-size"  # bytes
LOG_MAX_FILES = "tinybox.log-max-files"
HEALTH = "tinybox.health"  # JSON: test, interval, timeout, retries, startPeriod
INTERACTIVE = "tinybox.interactive"  # stdin is kept open
STDIN_ONCE = "tinybox.stdin-once"  # until the input of a client ends; absent: until the container ends (run -d -i)
NETWORKS = "tinybox.networks"  # JSON: a list of name, aliases, address, address6, mac; see addresses.EndpointRequest
PORTS = "tinybox.ports"  # JSON: see network/published_ports.py
EXPOSED = "tinybox.exposed"  # JSON: ports such as 80/tcp that the program listens on, published or not
JOINED = "tinybox.joined"  # JSON: the ids of the containers whose namespaces it joins, by the kind of namespace
ASKED = "tinybox.asked"  # JSON: options as they were written, with docker's keys; see config/asked.py
GIVEN = ("HOSTNAME", "TERM", "HOME")  # variables that a program has, too, if neither the user nor the image sets them
NAMES = "tinybox.names"  # JSON: nameserver, search, options of its resolv.conf, and hosts; lists
ID_MAPS = "tinybox.id-maps"  # JSON, see id_maps(): a box with a user namespace inside a user's home
LABEL = "tinybox.label."
FOR_USERS = (RESTART_DELAY, RESTART_WINDOW)  # those that --annotation may set: docker has no options for them
_NUMBERS = (ENTRYPOINT, STOP_TIMEOUT, LOG_MAX_SIZE, LOG_MAX_FILES, *FOR_USERS)


def labels(annotations: dict[str, str]) -> dict[str, str]:
    """Return the labels among the annotations: those of the image and of the container."""
    return {key.removeprefix(LABEL): value for key, value in annotations.items() if key.startswith(LABEL)}


def mounts_of_volumes(config: Spec, paths: Paths) -> list[Mount]:
    """Return the mounts of *config* whose source is a volume of the store: ROOT/volumes/NAME/_data."""
    below = f"{paths.volumes}/"
    sources = [(entry.get("source", ""), entry) for entry in config.get("mounts", [])]
    return [each for path, each in sources if path.startswith(below) and path.count("/", len(below)) == 1]


def has_other_users(config: Spec) -> bool:
    """Return whether a container is in a user namespace, its own or another container's.

    Its user ids are then not the host's, and overlayfs uses the extended attributes user.overlay.*.
    """
    return any(entry["type"] == "user" for entry in config.get("linux", {}).get("namespaces", []))


def id_maps(config: Spec) -> IdMaps:
    """Return the maps of a container with a user namespace inside the home of a user without root; {} of any other.

    The files of such a container have other owners on disk than inside; see storage/mapped_files.py.
    """
    found: IdMaps = json.loads(config.get("annotations", {}).get(ID_MAPS) or "{}")
    return found


def set_id_maps(config: Spec, maps: IdMaps) -> None:
    """Write *maps* into an annotation of *config*."""
    config["annotations"][ID_MAPS] = json.dumps(maps)


def layers(config: Spec) -> list[str]:
    """Return the directories of a container's layers, bottom first."""
    return [layer for layer in config.get("annotations", {}).get(LAYERS, "").split(":") if layer]


def load(bundle: str) -> Spec:
    """Read the config.json of a *bundle*; UsageError: it is missing, or another user can write to it.

    DamagedError: it has other values than a config.json of tinybox can have.
    """
    path = os.path.join(bundle, "config.json")
    try:
        config = json.read_own(path, {}, trust=_refuse_foreign)
        if config is None:
            raise UsageError(path, "no such file", "a bundle is a directory with config.json and rootfs")
        return check(config)
    except ValueError as error:
        raise DamagedError(path, f"it is damaged: {error}", "repair it, or tinybox rm -f removes its box") from error


def _refuse_foreign(fd: int, path: str) -> None:
    if not ownership.is_private(fd):
        raise UsageError(path, "another user can have written it", "check it, then chown root and chmod 600")


def load_if_sound(bundle: str) -> Spec:
    """Read the config.json of a *bundle*; {} if it is damaged, or missing because a command was killed before."""
    try:
        return load(bundle)
    except (UsageError, DamagedError):
        return {}


def save(config: Spec, bundle: str) -> None:
    """Replace the config.json of *bundle* as a whole; only root can read it, because it has the environment."""
    own_files.replace(os.path.join(bundle, "config.json"), json.dumps(config).encode())


def check(config: Any) -> Spec:
    """Return *config*, which has no nulls, if it has the types of tinybox's own; ValueError names the wrong key.

    This is for the files of a store. See config/validate.py for the config.json of another tool.
    """
    from tinybox.container.records import shapes

    found: Spec = config
    wrong = json.misfit(found, shapes.CONFIG) or misfit_of_annotations(found.get("annotations", {}))
    if not wrong and not (found["process"]["args"] and found["root"]["path"] and found["process"]["cwd"][:1] == "/"):
        wrong = "process.args, process.cwd or root.path is empty, or not an absolute path"
    if wrong:
        raise ValueError(wrong)
    return found


def misfit_of_annotations(annotations: Mapping[str, str]) -> str:
    """Return which of tinybox's *annotations*, which are all texts, has a value that it cannot have; "" if none has."""
    for key, text in annotations.items():
        name = key.removeprefix("tinybox.")
        if name == key:
            continue
        from tinybox.container.records import shapes

        if name in shapes.ANNOTATIONS:
            try:
                document = json.loads(text)
                wrong = json.misfit(document, shapes.ANNOTATIONS[name], key)
                if not wrong and document != json.without_nulls(document):
                    wrong = f"{key} has a null"
            except ValueError as error:
                wrong = f"{key} is not JSON: {error}"
            if wrong:
                return wrong
        if key in _NUMBERS and not _is_number(text):
            return f"{key} is no whole number"
    return _misfit_of_restart(annotations.get(RESTART, "no"))


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 19


def _misfit_of_restart(text: str) -> str:
    name, colon, most = text.partition(":")
    fits = name in ("no", "on-failure", "always", "unless-stopped") and (not colon or _is_number(most))
    return "" if fits else f"{RESTART} is no restart policy"
