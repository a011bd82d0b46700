"""exec: run one more process in a running container, beside its first process; planning/entering.py plans how."""

from __future__ import annotations

import os

from tinybox.container import freezing
from tinybox.container.config import option_values
from tinybox.container.planning import cgroups, entering
from tinybox.container.planning.task import Task
from tinybox.container.process import init, spawn, wait_loop
from tinybox.container.process.plan_runner import PlanRunner
from tinybox.container.records import events, spec
from tinybox.container.running import running
from tinybox.errors import DamagedError, UsageError
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tinybox.container.process.handles import Handles
    from tinybox.container.process.wait_loop import Ending, Signals
    from tinybox.container.records.host import Host
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Process, Spec
    from tinybox.container.running import Running


def execute(
    paths: Paths, here: Host, word: str, command: Sequence[str], options: dict[str, Any], handles: Handles
) -> Ending | None:
    """Run *command* in the running container that *word* names, with the *options* of docker-exec(1); return its end.

    With the option ``detach`` leave it running, and return None. Raises StateError if the container does not run. After
    an error *handles* are closed.
    """
    try:
        with running(paths, word) as target, wait_loop.Signals() as signals:
            execution = Execution(paths, here, target, command, options, handles)
            if not options.get("detach"):
                return execution.run(signals)
            execution.leave()
    except BaseException:
        handles.close()
        raise
    return None


class Execution:
    """One process to be run in the running container *target*, with the attributes that wait_loop.watch() reads."""

    def __init__(
        self,
        paths: Paths,
        here: Host,
        target: Running,
        arguments: Sequence[str],
        options: dict[str, Any],
        handles: Handles,
    ) -> None:
        config = spec.load(paths.bundle(target.id))
        self.paths, self.handles, self.limits_memory = paths, handles, False
        self.id, self.annotations = os.urandom(32).hex(), target.state["annotations"]
        self.cgroup = cgroups.group(target.id, config, here)
        freezing.refuse_paused(paths, target.id, self.cgroup)
        self.mode = init.NONE
        if options.get("detach") and config.get("annotations", {}).get(spec.INIT) in (init.FORWARD, init.REAP):
            self.mode = init.LEAVE
        changed = configured(config, target.state["pid"], arguments, options)
        self.task = Task(changed, paths.bundle(target.id), here, handles, self.cgroup, target.id)
        self.task.first_process = config["process"]
        if self.task.shares_mounts:  # tinybox has made none without; `oci/execute.py` has a root directory for them
            raise DamagedError(f"container {target.id[:12]}", "its config.json is damaged: no mount namespace is new")
        handles.namespace_fds[entering.TARGET] = os.dup(target.pidfd)
        self.plan = entering.plan(self.task, self.mode, dies_with_parent=not options.get("detach"))
        self.runner = PlanRunner(self.plan, handles)
        if handles.leaving is not None:
            handles.leaving.told = lambda: self.tell("exec_detach")

    def start(self) -> None:
        """Carry out the plan; return when the program runs, or undo everything and raise the error.

        No other command can pause the container meanwhile; StateError: it is paused.
        """
        with freezing.KeptFromPausing(self.paths, self.task.container, self.cgroup):
            self.start_in_group()
        command = " ".join(self.task.process["args"])
        self.tell(f"exec_create: {command}", f"exec_start: {command}")

    def tell(self, *actions: str, **attributes: object) -> None:
        """Append the events *actions* of this program, one after the other."""
        told = {"execID": self.id, **attributes}
        container, annotations = self.task.container, self.annotations
        events.write(
            self.paths, *(events.of_container(self.paths, container, action, annotations, **told) for action in actions)
        )

    def start_in_group(self) -> None:
        """Do the same in a process that is in the container's control groups, so that it is paused with them."""
        try:
            self.runner.create()
            self.runner.start()
        except BaseException:
            self.runner.undo()
            raise

    def leave(self) -> None:
        """Start the process and leave it to the box's PID 1, which reaps it; this is ``exec -d``.

        If it were a child of tinybox and tinybox ended, the host's PID 1 would have to reap it. When a pid namespace
        ends, the kernel waits until every zombie in it has been reaped, so the end of the box would wait for the host:
        pid_namespaces(7).
        """
        self.start()
        if self.mode == init.LEAVE:
            os.waitid(os.P_PIDFD, self.handles.pidfd, os.WEXITED)
        self.handles.close()

    def run(self, signals: Signals) -> Ending:
        """Start the process, wait for its end, and return how it ended."""
        self.start()
        try:
            ending = wait_loop.watch(self, signals)
            self.tell("exec_die", exitCode=ending.status)
        finally:
            spawn.kill(self.handles)
            self.handles.close()
        wait_loop.write_rest(self.handles, signals)
        return ending


def configured(config: Spec, pid: int, arguments: Sequence[str], options: dict[str, Any]) -> Spec:
    """Return the container's config with the new process in it: docker's exec options override the container's."""
    former = config["process"]
    new: Process = {**former, "args": list(arguments), "terminal": bool(options.get("tty"))}
    new.pop("consoleSize", None)  # that of the terminal of the container's own program
    variables = dict(line.partition("=")[::2] for line in former.get("env", []))
    if options.get("user"):
        from tinybox.container.config import user_option

        root = [f"/proc/{pid}/root"]
        new["user"], directory = user_option.resolve(options["user"], root)
        if added := config.get("annotations", {}).get(spec.GROUP_ADD):
            user_option.add_groups(new["user"], json.loads(added), root)
        variables["HOME"] = directory
        if new["user"].get("uid", 0) != 0 and not options.get("privileged"):
            new["capabilities"] = {"bounding": former.get("capabilities", {}).get("bounding", [])}
    if options.get("tty"):
        variables.setdefault("TERM", "xterm")  # the box may have a TERM of its own (-e, the image)
    variables |= option_values.environment(list(options.get("env") or ()), list(options.get("env_file") or ()))
    new["env"] = [f"{name}={value}" for name, value in variables.items()]
    new["cwd"] = options.get("workdir") or former["cwd"]
    if not new["cwd"].startswith("/"):
        raise UsageError(f"--workdir {new['cwd']}", "is not an absolute path")
    changed: Spec = {**config, "process": new}
    if options.get("privileged"):
        from tinybox.container.config import configure  # all that turns options into a config.json: only for this

        everything = configure.everything_permitted()
        new["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), everything)
        changed["linux"] = {key: value for key, value in config["linux"].items() if key != "seccomp"}  # type: ignore[typeddict-item]
    return changed
