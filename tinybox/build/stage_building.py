"""Build one stage, in a process of its own: carry out its instructions one by one, or take their layers from the cache.

The process tells its parent about each step; at the end, it tells it the config document of the stage. A step that
fails ends the stage with an error that names the file and the line.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinybox.build import (
    cache,
    containerfile,
    layering,
    metadata,
    named_contexts,
    run_flags,
    run_mounts,
    run_options,
    running,
    stages,
    variables,
    working_directory,
)
from tinybox.build import order as orders
from tinybox.build import state as states
from tinybox.build.files import copying
from tinybox.build.files.context import Context
from tinybox.build.state import State, time_text
from tinybox.build.variables import VariableError
from tinybox.container.files import change_instructions
from tinybox.errors import TinyboxError, UsageError
from tinybox.images import build_cache
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from tinybox.build.containerfile import Instruction
    from tinybox.build.files.copy_request import CopyRequest
    from tinybox.build.layering import Site
    from tinybox.build.order import Order, Origin
    from tinybox.build.stages import Stage

    Tell = Callable[[Any], None]

COPIES = ("COPY", "ADD")
LAYERED = ("RUN", "WORKDIR", *COPIES)
BEGIN, OUTPUT, END = "begin", "output", "end"  # the kinds of messages about a step


def build(site: Site, order: Order, stage: Stage, finished: Mapping[int, dict[str, Any]], tell: Tell) -> None:
    """Build *stage*; *finished* has the documents of the stages before. *tell* gets the messages of `building.Report`.

    The last message is ``["stage", number, document]``.
    """
    layering.enter()
    builder = StageBuilder(site, order, stage, finished, tell)
    builder.begin()
    for instruction in builder.instructions():
        builder.carry_out(instruction)
    tell(["stage", stage.number, builder.state.document])


class StageBuilder:
    """The state of a stage while it is built, and its steps."""

    def __init__(
        self, site: Site, order: Order, stage: Stage, finished: Mapping[int, dict[str, Any]], tell: Tell
    ) -> None:
        self.site = site._replace(omitted=self._omit)
        self.order, self.stage, self.finished = order, stage, finished
        self.store, self._tell, self._step = site.store, tell, 0
        self.triggers: list[Instruction] = []
        self.state = State({"config": {}}, time_text(order.now))

    def begin(self) -> None:
        """Take the base: nothing, another stage, or an image, whose triggers (ONBUILD) come first."""
        stage, now = self.stage, time_text(self.order.now)
        with self._step_of(stage.begin):
            if stage.base == stages.SCRATCH:
                self.state = states.empty(self.order.platform, now)
            elif isinstance(stage.base, int):
                self.state = states.of_base(self.finished[stage.base], now)
            else:
                self.state = states.of_base(
                    self._image(stage.base, stage.platform or str(self.order.platform) * self.order.is_platform_given),
                    now,
                )
            triggers = self.state.config.pop("OnBuild", None) or []
            place = f"{stage.begin.file}:{stage.begin.line}: ONBUILD of {stage.base}"
            for text in triggers:
                self.triggers += containerfile.parse(text.encode("utf-8", "surrogateescape"), place).instructions

    def _image(self, name: str, platform: str) -> dict[str, Any]:
        """Return the record of the base image, which is kept in the store from now on."""
        if named_contexts.directory(self.order.contexts, name):
            raise UsageError(f"context {name}", "is a directory, not an image", "COPY --from takes files of it")
        name = named_contexts.image(self.order.contexts, name)
        self.order.bring(name, platform)
        with self.store.locked():
            image = self.store.image(name)
            layering.protect(self.site, *image.diff_ids)
        record = self.store.record(image.id)
        if platform:
            parts = [record.get("os") or "linux", record.get("architecture") or "", record.get("variant") or ""]
            wanted = platform.split("/")
            if parts[: len(wanted)] != wanted and parts[:2] != wanted[:2]:
                raise UsageError(f"image {name}", f"is for {'/'.join(filter(None, parts))}, not {platform}", "--pull")
        return record

    def instructions(self) -> Iterator[Instruction]:
        """Yield the triggers of the base, and then the stage's own instructions."""
        yield from self.triggers
        yield from self.stage.body

    def carry_out(self, instruction: Instruction) -> None:
        """Carry out one instruction as a step."""
        with self._step_of(instruction):
            if instruction.name == "ARG":
                self._argument(instruction)
            elif instruction.name == "RUN":
                self._run(instruction)
            elif instruction.name == "WORKDIR":
                self._directory(instruction)
            elif instruction.name in COPIES:
                self._copy(instruction)
            elif instruction.name in metadata.CHANGES:
                metadata.apply(self.state, instruction, self.order.escape)
            else:
                raise instruction.wrong("it cannot stand here")

    @contextmanager
    def _step_of(self, instruction: Instruction) -> Iterator[None]:
        """Tell of the beginning and the end of a step; give an error the place of its instruction."""
        self._step, begun = self._step + 1, time.monotonic()
        self._was_cached, self._last_key = False, ""
        where = [self.stage.number, self._step]
        self._tell([BEGIN, *where, instruction.original, f"{instruction.file}:{instruction.line}"])
        try:
            yield
        except VariableError as error:
            raise instruction.wrong(str(error), "see docker's reference") from error
        except TinyboxError as error:
            place = f"{instruction.file}:{instruction.line}: {instruction.name}"
            if not error.thing.startswith(instruction.file):
                error.thing = f"{place}: {error.thing}" if error.thing else place
            raise
        except OSError as error:
            cause = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
            raise TinyboxError(f"{instruction.file}:{instruction.line}: {instruction.name}", cause) from error
        result = [time.monotonic() - begun, self._was_cached, self._last_key, self.state.diff_ids, self.state.config]
        self._tell([END, *where, *result])

    def _omit(self, name: str) -> None:
        self._say(f"left out: {name}: a layer cannot contain it")

    def _say(self, line: str) -> None:
        self._tell([OUTPUT, self.stage.number, self._step, line])

    def _layer(
        self, created_by: str, key: str, make: Callable[[], str], is_true: Callable[[], bool] = lambda: True
    ) -> None:
        """Add the layer of an instruction: that of the cache, or what *make* returns.

        The cache keeps it only if *is_true*, asked afterwards: the layer is still the one that the key means.
        """
        self._last_key = key
        entry = build_cache.find(self.store.root, key) if self.order.uses_cache else None
        if entry is not None and entry.diff_id:
            with self.store.locked():
                layering.protect(self.site, entry.diff_id)
                entry = build_cache.find(self.store.root, key)  # another command may just have removed it
        self._was_cached = entry is not None
        if entry is None:
            entry = build_cache.Entry(make(), time_text(self.order.now))
            if is_true():
                with self.store.locked():
                    build_cache.keep(self.store.root, key, entry)
        self.state.record(created_by, entry.diff_id, entry.created if entry.diff_id else "")

    def _key(self, *parts: object) -> str:
        return cache.key(self.state.diff_ids, self.order.newest, *parts)

    def _argument(self, instruction: Instruction) -> None:
        """ARG: declare variables; one without a default has the value of the ARG of that name before FROM."""
        given = {name: value for name, value in self.order.given.items() if name not in self.state.variables}
        declared = stages.declared(instruction, self.state.values, given, self.order.escape)
        for word in stages.expanded_words(instruction, self.state.values, self.order.escape):
            name = word.partition("=")[0]
            if name not in declared and name in self.order.arguments:
                declared[name] = self.order.arguments[name]
        self.state.arguments |= declared
        self.state.record(instruction.original)

    def _find(self, name: str) -> Origin:
        found = orders.origin(self.order, self.finished, self.stage.number, name)
        with self.store.locked():
            layering.protect(self.site, *found.diff_ids)
        return found

    def _run(self, instruction: Instruction) -> None:
        """RUN: run a program in a container."""
        state, order = self.state, self.order
        directory = state.config.get("WorkingDir") or "/"
        flags = run_flags.read(instruction, state.values, directory, order.escape)
        words, script = run_flags.words(state, instruction)
        network = flags.network or order.network
        content = run_mounts.key(order, instruction, flags.mounts, self._find)
        seen = {key: state.config.get(key) for key in ("Env", "User", "WorkingDir")}
        key = self._key("RUN", words, script and script.text, state.arguments, seen, network, content,
                        *run_options.of_result(order.for_run))  # fmt: skip

        def make() -> str:
            mounts = (self.site, order, instruction, flags.mounts, script, self._step, self._find)
            with run_mounts.prepared(*mounts) as ready:
                proxies = {name: value for name, value in order.given.items() if name in orders.PREDEFINED}
                arguments = {**proxies, **state.arguments, **ready.variables}
                mounted = (ready.mounts, ready.places)
                program = running.Program(words, arguments, network, *mounted, order.for_run)
                return running.run(self.site, state, program, self._step, self._say, keeps_failed=order.keeps_failed)

        shown = [f"{name}={value}" for name, value in state.arguments.items() if name not in state.variables]
        prefix = f"|{len(shown)} {' '.join(shown)} " if shown else ""
        self._layer(f"RUN {prefix}{' '.join(words)}", key, make)

    def _directory(self, instruction: Instruction) -> None:
        """WORKDIR: set the directory, and make it if it is missing; it then belongs to the user of USER."""
        if instruction.flags:
            raise instruction.wrong(f"unknown flag: --{instruction.flags[0][0]}", "it knows none")
        path = variables.expand(instruction.text, self.state.values, self.order.escape)
        change_instructions.set_directory(self.state.config, path)
        place, user = self.state.config["WorkingDir"], self.state.config.get("User") or ""
        below = self.state.layers(self.store.root)
        if working_directory.is_there(below, place):
            self.state.record(f"WORKDIR {place}")
            return
        act = working_directory.maker(below, place, user)
        make = lambda: layering.changed(self.site, below, self._step, act)  # noqa: E731
        self._layer(f"WORKDIR {place}", self._key("WORKDIR", place, user), make)

    def _copy(self, instruction: Instruction) -> None:
        """COPY and ADD: copy files of the context, of a stage or of an image."""
        request = copying.read(instruction, self.state.values, self.order.escape, self.state.config)
        below = self.state.layers(self.store.root)
        folder = self.site.folder(self._step << 1)
        try:
            with self._source(request.origin, f"{folder}/from") as source:
                content = copying.digest(request, source)
                key = self._key(instruction.name, *_words_of(request), content)

                def copy(root: int) -> None:
                    for name in copying.copy(request, source, root):
                        self._omit(name)

                make = lambda: layering.changed(self.site, below, self._step, copy)  # noqa: E731
                self._layer(instruction.original, key, make, lambda: copying.is_unchanged(request, source))
        finally:
            files.remove_tree(folder)

    @contextmanager
    def _source(self, name: str, folder: str) -> Iterator[Context]:
        if not name:
            yield self.order.context
            return
        if directory := named_contexts.directory(self.order.contexts, name):
            with Context.of_directory(directory) as source:
                yield source
            return
        found = self._find(name)
        with layering.merged(found.layers, folder) as root, Context.of_root(os.dup(root), found.name) as source:
            yield source


def _words_of(request: CopyRequest) -> list[object]:
    """Return what the result of a COPY or ADD depends on beside the content; of --chown, names are the base's."""
    places = [request.sources, request.urls, request.target, request.into_directory]
    return [*places, request.chown, request.chmod, request.parents, request.unpack, request.checksum]
