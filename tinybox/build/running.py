"""RUN: a container of tinybox's own engine whose image is not finished yet; its upper directory becomes a layer.

The container has the limits, the network and the seccomp filter of `tinybox run`, and is removed at its end. If the
build is killed, the next command removes it, as any container of `run --rm`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tinybox.build import layering
from tinybox.container import launch, lifecycle
from tinybox.container.process.handles import Handles
from tinybox.container.process.wait_loop import Signals
from tinybox.container.records import spec
from tinybox.errors import TinyboxError
from tinybox.images import intake
from tinybox.images.store import Image
from tinybox.isolation import copied_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tinybox.build.layering import Site
    from tinybox.build.state import State
    from tinybox.container.lifecycle import Container
    from tinybox.container.process.wait_loop import Ending, WaitLoop
    from tinybox.container.records.spec_types import Mount

_CHUNK = 1 << 16
_KERNELS = ("/dev", "/proc", "/sys")  # directories that a container makes for its mounts, if its image lacks them


class Program(NamedTuple):
    """A program that RUN starts: its *words*, the variables of ARG, the *network* ("" is the default), and mounts.

    *mounts* are entries of config.json; *places* are their paths. *options* are more options of `tinybox run`.
    """

    words: list[str]
    arguments: dict[str, str]
    network: str
    mounts: list[Mount]
    places: list[str]
    options: Mapping[str, Any]


def run(
    site: Site, state: State, program: Program, step: int, said: Callable[[str], None], *, keeps_failed: bool
) -> str:
    """Run *program* on the layers of *state*, and return the diff id of the layer that it has made, or "".

    *said* is called with each line of its output. TinyboxError: its exit status is not 0; with *keeps_failed* its
    container then stays, and the error names it.
    """
    output = Output(said)
    made: list[str] = []
    with Signals() as signals:
        container = _registered(site, state, program, output, keeps_failed=keeps_failed)

        def ended(ending: Ending) -> None:
            if ending.status == 0:
                upper, below = f"{container.bundle}/upper", state.layers(site.store.root)
                if spec.COPIED in container.annotations:
                    copied_layers.upper(below, f"{container.bundle}/{container.config['root']['path']}", upper)
                layering_args = (site, below, step, upper)
                made.append(layering.kept(*layering_args, [*_KERNELS, *program.places]))
            elif keeps_failed:
                _keep(site, state, container)

        ending = lifecycle.run(container, signals, output, ended=ended)
    if ending.status != 0:
        raise _failure(program, ending, container.name if keeps_failed else "")
    return made[0]


def _registered(site: Site, state: State, program: Program, output: Output, *, keeps_failed: bool) -> Container:
    document = {**state.document, "config": {key: state.config.get(key) for key in ("Env", "User", "WorkingDir")}}
    image = Image(site.store.root, intake.image_id(state.document), "", document)
    options: dict[str, Any] = {"rm": True, "entrypoint": "", "name": f"build-{os.urandom(6).hex()}"}
    options["env"] = [f"{name}={value}" for name, value in program.arguments.items() if name not in state.variables]
    options |= {"ready_mounts": program.mounts, **program.options}
    if program.network:
        options["network"] = [program.network]
    handles = Handles(output.streams)
    try:
        container = launch.register(
            image, program.words, options, handles, root=site.store.root, passing=not keeps_failed, at_once=True
        )
    except BaseException:
        output.close(1)
        raise
    layering.like_root(image.layers, f"{container.bundle}/upper")
    return container


def _keep(site: Site, state: State, container: Container) -> None:
    """Keep the container, with an image without a name that has the layers so far."""
    with intake.workspace(site.store) as work:
        intake.put(site.store, work, state.document, [])
        container.annotations.pop(spec.REMOVE, None)
        spec.save(container.config, container.bundle)
        container.record.write(annotations=dict(container.annotations))


def _failure(program: Program, ending: Ending, name: str) -> TinyboxError:
    words = " ".join(program.words)
    cause = f"{words[:200]!r} ended with the exit status {ending.status}"
    if ending.out_of_memory:
        cause += ": out of memory"
    cure = f"look into its container: tinybox diff {name}, tinybox commit {name}" if name else ""
    return TinyboxError("", cause, cure)


class Output:
    """The output of a program, stdout and stderr in one pipe, as lines; see pipe(2) and wait_loop.Streams."""

    def __init__(self, said: Callable[[str], None]) -> None:
        self._said, self._rest = said, b""
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC)
        self._input = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.streams = (self._input, self._writing, self._writing)

    def open(self) -> None:
        """Do nothing: the pipe is made already."""

    def started(self) -> None:
        """Close the program's ends of the pipe."""
        for fd in {self._writing, self._input} - {-1}:
            os.close(fd)
        self._writing = self._input = -1

    def watch(self, watching: WaitLoop) -> None:
        """Pass lines on until the container ends: then no process of it is left that could write."""
        os.set_blocking(self._reading, False)
        watching.listen(self._reading, lambda: self._read(watching))
        watching.until_the_end()
        while self._reading in watching.handlers and self._read(watching):
            continue

    def close(self, _: int) -> None:
        """Pass on the last line, if it has no end, and close the pipe."""
        if self._rest:
            self._say(self._rest)
            self._rest = b""
        self.started()
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1

    def _read(self, watching: WaitLoop) -> bool:
        """Read what is there; False: nothing is."""
        try:
            piece = os.read(self._reading, _CHUNK)
        except BlockingIOError:
            return False
        if not piece:
            watching.ignore(self._reading)
            return False
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _CHUNK:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._say(line)
        return True

    def _say(self, line: bytes) -> None:
        self._said(line.decode("utf-8", "replace"))
