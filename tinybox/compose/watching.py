"""`compose watch`: see which files below the paths of `develop.watch` change, and bring them into the containers.

The trees are read every half a second, and compared: a change is acted on when two readings in a row are the same, so
an editor or a checkout that writes many files causes one action. Files that the .dockerignore of the build leaves out
do not count, nor do those of .git.
"""

from __future__ import annotations

import os
import tarfile
import time
from contextlib import suppress

from tinybox.build.files import patterns
from tinybox.build.files.context import IGNORE_FILES
from tinybox.build.files.patterns import Patterns
from tinybox.compose import hooks, members
from tinybox.compose.reading.service import Hook
from tinybox.container import control
from tinybox.container.files import copy
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tinybox.compose.members import Say
    from tinybox.compose.project import Project
    from tinybox.compose.reading.service import Service, Watch
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

    Tree = dict[str, tuple[int, ...]]  # the path of each file below a rule's path, and what changes when it changes

PAUSE = 0.5  # seconds between two readings
ALWAYS = (".git", "**/.git")
LARGEST = 1 << 20  # bytes of a .dockerignore


class Rule:
    """One rule of `develop.watch` of a *service*, and the files below its path as they were last seen."""

    def __init__(self, service: Service, watch: Watch) -> None:
        self.service, self.watch = service, watch
        self._ignored = Patterns([*ALWAYS, *watch.ignore], f"service {service.name}: ignore")
        self._included = Patterns(watch.include, f"service {service.name}: include")
        self._of_build, self._before = _of_build(service, watch.path)
        self.seen: Tree = {}

    def read(self) -> Tree:
        """Return the files below the path of the rule as they are now; for a file as its path the key is ""."""
        try:
            top = os.open(self.watch.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except NotADirectoryError:
            return {"": _state(os.stat(self.watch.path))}
        except OSError:
            return {}
        found: Tree = {}
        try:
            base = os.readlink(f"/proc/self/fd/{top}")
            for fd, folders, others in files.walk(top):
                below = os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), base)
                before = "" if below == "." else f"{below}/"
                folders[:] = [name for name in folders if not self._leaves_out(before + name, is_folder=True)]
                for name in others:
                    if not self._leaves_out(before + name, is_folder=False):
                        found |= _stated(fd, name, before + name)
        finally:
            os.close(top)
        return found

    def _leaves_out(self, path: str, *, is_folder: bool) -> bool:
        if self._ignored.leave_out(path) or self._of_build.leave_out(f"{self._before}{path}"):
            return True
        return bool(self._included) and not is_folder and not self._included.leave_out(path)

    def target(self, path: str) -> str:
        """Return the place in the container of the file *path*."""
        return os.path.join(self.watch.target, path) if path else self.watch.target


def _of_build(service: Service, path: str) -> tuple[Patterns, str]:
    """Return the patterns of the .dockerignore of the service's build, and where *path* is below the build context."""
    context = service.build.context if service.build else ""
    inside = os.path.relpath(path, context) if context else ".."
    if inside.split("/")[0] == "..":
        return Patterns(), ""
    for name in IGNORE_FILES:
        try:
            with open(os.path.join(context, name), "rb") as file:
                return patterns.read(file.read(LARGEST), name), "" if inside == "." else f"{inside}/"
        except OSError:
            continue
    return Patterns(), ""


def _state(info: os.stat_result) -> tuple[int, ...]:
    return info.st_mtime_ns, info.st_size, info.st_ino, info.st_mode


def _stated(folder: int, name: str, path: str) -> Tree:
    try:
        return {path: _state(os.stat(name, dir_fd=folder, follow_symlinks=False))}
    except OSError:  # it has just been removed
        return {}


class Watching:
    """Acts on changes: *rebuild* gets the services whose image must be built again, *start* a stopped container."""

    def __init__(
        self,
        paths: Paths,
        project: Project,
        rules: list[Rule],
        say: Say,
        rebuild: Callable[[list[Service]], None],
        start: Callable[[Listed], None],
    ) -> None:
        self._paths, self._project, self._rules, self._say = paths, project, rules, say
        self._rebuild, self._start = rebuild, start
        for rule in rules:
            rule.seen = rule.read()

    def forever(self) -> None:
        """Act on changes until KeyboardInterrupt."""
        while True:
            time.sleep(PAUSE)
            found = [rule.read() for rule in self._rules]
            if all(rule.seen == now for rule, now in zip(self._rules, found, strict=True)):
                continue
            while True:
                time.sleep(PAUSE)
                former, found = found, [rule.read() for rule in self._rules]
                if former == found:
                    break
            self.act(found)

    def act(self, found: list[Tree]) -> None:
        """Bring what differs between the files that were seen and those *found* into the containers."""
        changed: dict[str, list[tuple[Rule, list[str]]]] = {}
        for rule, now in zip(self._rules, found, strict=True):
            paths = [path for path in {**rule.seen, **now} if rule.seen.get(path) != now.get(path)]
            rule.seen = now
            if paths:
                changed.setdefault(rule.service.name, []).append((rule, sorted(paths)))
        again = [name for name, pairs in changed.items() if any(rule.watch.action == "rebuild" for rule, _ in pairs)]
        if again:
            self._say(f"Rebuilding service(s) {again} after changes were detected...")
            self._rebuild([self._project.services[name] for name in again])
        for name, pairs in changed.items():
            if name not in again:
                self._follow(name, pairs)

    def _follow(self, name: str, pairs: list[tuple[Rule, list[str]]]) -> None:
        """Copy changed files into the containers of the service *name*, restart these, or run programs in them."""
        running = [each for each in members.of(self._paths, self._project.name, [name]) if each.is_alive]
        for listed in running:
            for rule, paths in pairs:
                if rule.watch.action.startswith("sync"):
                    self._say(f"Syncing service {name} after {len(paths)} changes were detected: {listed.name}")
                    _sync(self._paths, rule, listed.id, paths)
            if any(rule.watch.action.endswith("restart") for rule, _ in pairs):
                control.stop(self._paths, listed.id)
                self._start(listed)
            for rule, _ in pairs:
                if rule.watch.hook is not None:
                    hooks.run(self._paths, rule.service, listed.id, "exec", [rule.watch.hook])


def _sync(paths: Paths, rule: Rule, container: str, changed: Iterable[str]) -> None:
    """Copy the *changed* files of *rule* into a container; those that are gone are removed there by its rm(1)."""
    here = {path: os.path.join(rule.watch.path, path) if path else rule.watch.path for path in changed}
    there = {path: place for path, place in here.items() if os.path.lexists(place)}
    if there:
        _copy(paths, rule, container, there)
    gone = [rule.target(path) for path in here if path not in there]
    if gone:
        hooks.run(paths, rule.service, container, "watch", [Hook(["rm", "-rf", "--", *gone], {"user": "0"})])


def _copy(paths: Paths, rule: Rule, container: str, places: Mapping[str, str]) -> None:
    with open(os.memfd_create("synced"), "w+b") as archive:
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path, place in places.items():
                with suppress(FileNotFoundError):  # it has just been removed: the next reading finds that
                    tar.add(place, rule.target(path).lstrip("/"), recursive=False, filter=_as_root)
        archive.seek(0)
        copy.copy_in_tar(paths, container, archive.fileno(), "/", archive=False)


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
