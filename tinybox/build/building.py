"""`tinybox build`: the table of contents of this folder. A Containerfile and a context become an image.

    containerfile  text to instructions            stages          which stages the target needs
    stage_building one stage, step by step         running         RUN: a container, whose changes are a layer
    metadata       ENV, CMD ...: the config        copying         COPY and ADD; context: the files they copy
    layering       changed files to a layer        cache           what need not be done again

Each stage is built in a process of its own, several at once; see workers.py. The image appears when all is done. If a
step fails, or the build is killed, nothing of it stays but the layers of the steps before in the cache.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.build import containerfile, stage_building, stages
from tinybox.build.layering import Site
from tinybox.build.order import PREDEFINED, Order
from tinybox.container import sweeping
from tinybox.container.files import change_instructions
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.images import image_events, intake
from tinybox.images.registry import manifests
from tinybox.linux import workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tinybox.build.files.context import Context
    from tinybox.build.order import Bring
    from tinybox.build.stages import Stage
    from tinybox.images.intake import Workspace
    from tinybox.images.reference import Reference
    from tinybox.images.registry.manifests import Platform
    from tinybox.images.store import Store

PROCESS = b"tinybox:build"
EPOCH = "SOURCE_DATE_EPOCH"  # an ARG that needs no declaration; see reproducible-builds.org


class Report:
    """The events of a build; this class ignores them, and the command line prints them."""

    def begin(self, step: Step) -> None:
        """Take notice that *step* begins."""

    def output(self, step: Step, line: str) -> None:
        """Take notice of a line that the program of *step* has written; it may contain anything."""

    def end(self, step: Step, result: Result) -> None:
        """Take notice that *step* is done."""

    def warn(self, line: str) -> None:
        """Take notice of a warning."""


class Result(NamedTuple):
    """What a step has done in some *seconds*: the state of its stage is now the layers *diff_ids*, and the *config*.

    *key* is that of the build cache, or "" if the instruction makes no layer; *cached*: the cache had it, and nothing
    was carried out.
    """

    seconds: float
    cached: bool
    key: str
    diff_ids: list[str]
    config: dict[str, Any]


class Step(NamedTuple):
    """A step: the name of its *stage*, its *number* among the *total* steps of the stage, and its *text*.

    The *id*, the number of the stage and that of the instruction in it, is its own. The name of the first stage is ""
    if the Containerfile gives it none.

    As in docker, FROM and the instructions that may make a layer are counted. For another one the number is 0. The
    steps of triggers (ONBUILD) are not in *total*. *place* is the file with the line where the instruction begins.
    """

    id: tuple[int, int]
    stage: str
    number: int
    total: int
    text: str
    place: str


class Wish(NamedTuple):
    """What the command line asks for; see `tinybox build --help`.

    *arguments* are the values of --build-arg, *platform* is OS/ARCH[/VARIANT] or "", *labels* are added to the image,
    *for_run* are options of the container of each RUN, *contexts* see named_contexts.py.
    """

    content: bytes
    file: str
    context: Context
    names: Sequence[Reference]
    arguments: Mapping[str, str]
    target: str
    labels: Mapping[str, str]
    platform: str
    secrets: Mapping[str, bytes]
    network: str
    uses_cache: bool
    keeps_failed: bool
    for_run: Mapping[str, Any] = {}
    contexts: Mapping[str, str] = {}


def build(store: Store, wish: Wish, bring: Bring, report: Report, newest: int | None) -> str:
    """Build the image that *wish* describes, and return its id; TinyboxError: a step failed.

    *bring* makes an image that is not in the store. *newest*, SOURCE_DATE_EPOCH in seconds since 1970, is the latest
    time in the image and its layers.
    """
    parsed = containerfile.parse(wish.content, wish.file)
    platform = manifests.platform(wish.platform) if wish.platform else manifests.this_platform()
    found = stages.split(parsed, wish.arguments, _platform_arguments(platform))
    target = stages.target(found.stages, wish.target)
    needed = stages.needed(found.stages, target)
    _warn_of_unused(parsed.instructions, wish.arguments, report)
    now = int(time.time()) if newest is None else min(newest, int(time.time()))
    order = Order(
        store, wish.context, parsed.escape, found.stages, {**found.arguments, "TARGETSTAGE": target.title},
        wish.arguments, platform, bool(wish.platform), wish.secrets, wish.network, wish.uses_cache, wish.keeps_failed,
        bring, now, newest, wish.for_run, wish.contexts,
    )  # fmt: skip
    with intake.workspace(store) as work:
        document = _built(order, work, needed, report)[target.number]
        if wish.labels:
            change_instructions.add_labels(document["config"], list(wish.labels.items()))
        image_id = intake.put(store, work, document, wish.names)
    for name in wish.names:
        image_events.emit(store.root, "tag", image_id, str(name))
    return image_id


def _built(order: Order, work: Workspace, needed: list[Stage], report: Report) -> dict[int, dict[str, Any]]:
    """Build the stages, each when those that it needs are done, and return their config documents by number."""
    finished: dict[int, dict[str, Any]] = {}
    told = _Told(needed, report, finished)

    def task(stage: Stage) -> workers.Task:
        site = Site(order.store, work, stage.number, order.newest)
        return lambda tell: stage_building.build(site, order, stage, finished, tell)

    def may_begin(number: int) -> bool:
        return finished.keys() >= {*stages.needs(order.stages, needed[number])}

    try:
        workers.run([task(stage) for stage in needed], told.take, name=PROCESS, may_begin=may_begin)
    except BaseException:
        paths = Paths(order.store.root)
        sweeping.sweep(paths, host.read(paths.cache))  # the containers of the stages that were killed
        raise
    return finished


class _Told:
    """Turns the messages of the stages' processes into events of a report."""

    def __init__(self, needed: list[Stage], report: Report, finished: dict[int, dict[str, Any]]) -> None:
        self._stages, self._report, self._finished = {stage.number: stage for stage in needed}, report, finished
        self._steps: dict[tuple[int, int], Step] = {}
        self._counts: dict[int, int] = {}

    def take(self, message: list[Any]) -> None:
        """Take one message; see stage_building.build."""
        kind, number, what, *more = message
        if kind == "stage":
            self._finished[number] = what
            return
        stage = self._stages[number]
        if kind == stage_building.BEGIN:
            self._steps[number, what] = self._step(stage, what, *more)
            self._report.begin(self._steps[number, what])
        elif kind == stage_building.OUTPUT:
            self._report.output(self._steps[number, what], more[0])
        else:
            self._report.end(self._steps[number, what], Result(*more))

    def _step(self, stage: Stage, what: int, text: str, place: str) -> Step:
        counted = ("FROM", *stage_building.LAYERED)
        is_counted = text.partition(" ")[0] in counted
        if is_counted:
            self._counts[stage.number] = self._counts.get(stage.number, 0) + 1
        total = 1 + sum(each.name in counted for each in stage.body)
        name = stage.title if stage.number else stage.name
        return Step((stage.number, what), name, self._counts[stage.number] if is_counted else 0, total, text, place)


def _platform_arguments(target: Platform) -> dict[str, str]:
    """Return the predefined ARGs about the platform that is built for, and about this machine."""
    found = {}
    for prefix, platform in (("TARGET", target), ("BUILD", manifests.this_platform())):
        found[f"{prefix}PLATFORM"] = str(platform)
        found[f"{prefix}OS"], found[f"{prefix}ARCH"] = platform.os, platform.architecture
        found[f"{prefix}VARIANT"] = platform.variant
    return found


def _warn_of_unused(
    instructions: list[containerfile.Instruction], arguments: Mapping[str, str], report: Report
) -> None:
    text = " ".join(each.text for each in instructions if each.name == "ARG").replace("=", " ").split()
    unused = sorted(arguments.keys() - set(text) - PREDEFINED - {EPOCH})
    if unused:
        report.warn(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed")
