"""`tinybox run` and tinybox.run(): find the image, configure, plan and register a container, and run it.

The command line and the Python API share these functions; options have docker's names, with ``_`` in place of ``-``.
"""

from __future__ import annotations

import os

from tinybox.container import lifecycle
from tinybox.container import register as registration
from tinybox.container.config import configure, joined, network_option, request
from tinybox.container.network import BRIDGE, HOST
from tinybox.container.process import wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.records import host, naming, spec
from tinybox.container.records.paths import Paths
from tinybox.images import tidying
from tinybox.images.store import Store, this_architecture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tinybox.container.network.definitions import Network
    from tinybox.container.process.wait_loop import Ending, Signals
    from tinybox.container.records.spec_types import Mount, Spec
    from tinybox.images.store import Image


def foreground(
    image: str,
    command: Sequence[str],
    options: dict[str, Any],
    handles: Handles,
    *,
    root: str = "",
    before_start: Callable[[lifecycle.Container], None] = lambda _: None,
    carry_out: Callable[[lifecycle.Container, Signals], Ending] = lifecycle.run,
) -> Ending:
    """Make a container, call *before_start* with it, run it by *carry_out*, and return how it ended."""
    with wait_loop.Signals() as signals:
        passing = bool(options.get("rm"))
        container = register(image, command, options, handles, root=root, passing=passing, at_once=True)
        before_start(container)
        ending = carry_out(container, signals)
        wait_loop.write_rest(container.handles, signals)
        return ending


def register(
    image: str | Image,
    command: Sequence[str],
    options: dict[str, Any],
    handles: Handles,
    *,
    root: str = "",
    passing: bool = False,
    at_once: bool = False,
    kept: Mapping[str, str] | None = None,
) -> lifecycle.Container:
    """Register a new container in the store, as ``docker create`` does; its image cannot be removed meanwhile.

    If it is started *at_once*, its link maker process is started now and gets ready while the rest is done.

    *image* is the name of an image, or an image that a build has not finished yet. *kept* maps mount points to the
    anonymous volumes of a former container: the new one uses them at the same places.
    """
    paths = Paths(root)
    here = host.read(paths.cache)
    here.check()
    if at_once and network_option.mode(options) == BRIDGE and not here.rootless:  # else in the network of the home
        start_link_maker(handles)
    paths.prepare()
    _sweep(paths, here)
    tidying.tidy(paths.root)

    def place() -> lifecycle.Container:
        with Store(paths.root).locked(shared=True):
            container = prepare(paths, here, image, command, options, handles, kept, may_rest=not at_once)
            registration.register(container, passing=passing)
        return container

    try:
        return _with_id_file(options["cidfile"], place) if options.get("cidfile") else place()
    except BaseException:
        handles.dismiss_link_maker()
        raise


def _sweep(paths: Paths, here: host.Host) -> None:
    """Clean up after killed tinybox processes, if a container has a run directory at all."""
    if paths.with_run_directory():
        from tinybox.container import sweeping

        sweeping.sweep(paths, here)


def _with_id_file(path: str, place: Callable[[], lifecycle.Container]) -> lifecycle.Container:
    """Call *place*, which registers a container, and write the id to *path*; StateError first if *path* exists."""
    from tinybox.container.records.id_file import IdFile

    with IdFile(path) as file:
        container = place()
        try:
            file.write(container.id)
        except BaseException:
            container.handles.close()
            lifecycle.discard(container)
            raise
    return container


def start_link_maker(handles: Handles) -> None:
    """Start the process that will make a container's network links; see network/link_maker.py."""
    from tinybox.container.network.link_maker import LinkMaker

    handles.link_maker = LinkMaker()


def prepare(
    paths: Paths,
    here: host.Host,
    image: str | Image,
    command: Sequence[str],
    options: dict[str, Any],
    handles: Handles,
    kept: Mapping[str, str] | None = None,
    *,
    may_rest: bool = False,
) -> lifecycle.Container:
    """Return a new, planned container of which nothing is on disk yet; this does not need root.

    *may_rest*: the containers whose namespaces it joins need not run yet.
    """
    container = os.urandom(32).hex()
    found = Store(paths.root).image(image) if isinstance(image, str) else image
    requested = request.Request(
        container,
        naming.checked(options["name"]) if options.get("name") else naming.made_up(),
        found,
        command,
        options,
        host=here,
        find_pid=lambda word: joined.pid_of(paths, word),
        find_joined=lambda word: joined.pid_of(paths, word, may_rest=may_rest),
        find_hostname=lambda word: hostname_of(paths, word),
        find_mounts=lambda word: mounts_of(paths, word),
        find_image=Store(paths.root).image,
        volume=lambda name, place: _volume(paths, name or (kept or {}).get(place, "")),
        network=lambda word: _network(paths, word),
        network_mode=network_option.mode(options),
    )
    planned = lifecycle.Container(paths, container, _configured(paths, requested), here, handles)
    _note_surprises(planned, requested)
    if options.get("omit") or options.get("chroot"):
        _leave_out(planned, options)
    return planned


def _configured(paths: Paths, requested: request.Request) -> Spec:
    """Return the config.json of *requested*, with notes about the other containers and the volumes that it needs."""
    config = configure.configure(requested)
    joined.note(paths, requested.modes, config)
    if requested.host.rootless and requested.modes["userns"].startswith("container:"):
        joined.note_users(paths, config)
    if spec.mounts_of_volumes(config, paths):
        from tinybox.container.storage import mounted_volumes

        mounted_volumes.note(config, paths)
    return config


def _note_surprises(planned: lifecycle.Container, requested: request.Request) -> None:
    """Note what the user may not expect: no port is published in the host's network, and another processor's image."""
    options, image = requested.options, requested.image
    planned.discards_ports = requested.modes["network"] == HOST and bool(options.get("publish"))
    if image.architecture not in {"", this_architecture()} and not options.get("platform"):
        planned.other_platform = image.platform


def _leave_out(container: lifecycle.Container, options: dict[str, Any]) -> None:
    from tinybox.container.planning import omissions

    names, chroot = omissions.named(options.get("omit", [])), bool(options.get("chroot"))
    omissions.omit(container.plan, container.handles, names, chroot=chroot)
    container.limits_memory = container.limits_memory and "cgroup" not in names


def _network(paths: Paths, word: str) -> Network:
    from tinybox.container.network import definitions  # here: a run without a network or volume loads neither

    return definitions.find(paths, word)


def _volume(paths: Paths, name: str) -> str:
    from tinybox.container.storage import volumes

    return volumes.directory(paths, name)


def hostname_of(paths: Paths, word: str) -> str:
    """Return the host name of the container that *word* names: the host's own if they share the UTS namespace."""
    return spec.load(paths.bundle(naming.find(paths, word))).get("hostname") or os.uname().nodename


def mounts_of(paths: Paths, word: str) -> list[Mount]:
    """Return the volumes and binds of the container that *word* names, running or not, as --mount would give them."""
    from tinybox.container.storage import requested_mounts

    return requested_mounts.handed_on(paths, spec.load(paths.bundle(naming.find(paths, word))))
