"""Health checks (HEALTHCHECK, --health-cmd): a command that the monitor runs in the box at intervals.

starting --success--> healthy --N failures in a row--> unhealthy --success--> healthy

The results are recorded in state.json (``health``) and as events ``health_status``; an unhealthy box is not restarted.

The box's limits hold for a check: the process that runs it is in the box's control groups from its first moment to its
end. The monitor is outside of them; its own cost, a fork and a write of state.json, is limited by a shortest pause.
When the monitor ends, a running check is killed. After SIGKILL of the monitor there are no checks: the box ends, too.
"""

from __future__ import annotations

import os
import select
import time

from tinybox.container.process import wait_loop
from tinybox.container.records import spec, state
from tinybox.errors import StateError, TinyboxError
from tinybox.linux import own_memory, process
from tinybox.linux import quick_json as json
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from tinybox.container.lifecycle import Container
    from tinybox.container.process.wait_loop import WaitLoop

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
LEAST_PAUSE = 0.1  # seconds between two checks, even if the interval is shorter: a fork costs the monitor's own time
GRACE = 2.0  # seconds after the timeout until the monitor kills a check that hangs before its command runs
OUTPUT_MAX, LOG_MAX = 4096, 5  # bytes of output kept for each check, and number of checks kept, as in docker


def prepare(container: Container) -> None:
    """Set the health status ``starting``; it is written with the state ``running``, so that no reader misses it."""
    if container.annotations.get(spec.HEALTH):
        container.record.state["health"] = {"Status": STARTING, "FailingStreak": 0, "Log": []}


class Check:
    """One container's health check and its results; all times are in seconds.

    *settings* come from the annotation: the test (a program with its arguments), interval, timeout, retries and so on.
    """

    def __init__(self, container: Container, settings: dict[str, Any]) -> None:
        self.container = container
        self.test: list[str] = settings["test"]
        self.interval, self.timeout = float(settings["interval"]), float(settings["timeout"])
        self.retries, self.start_period = int(settings["retries"]), float(settings["startPeriod"])
        self.start_interval = float(settings.get("startInterval", self.interval))  # an older tinybox did not write it
        self.since = time.monotonic()
        self.status, self.failures, self.log = STARTING, 0, list[dict[str, object]]()
        self.pid = self.pidfd = self.output = -1
        self.begun, self.printed = 0, b""

    @classmethod
    def of(cls, container: Container) -> Check | None:
        """Return the check that the container's annotations ask for, or None."""
        text = container.annotations.get(spec.HEALTH, "")
        return cls(container, json.loads(text)) if text else None

    def attend(self, watch: WaitLoop) -> None:
        """Plan the first check: after one interval, as in docker."""
        from tinybox.container import execute  # noqa: F401  load it once here, not in each check, in the box's memory

        watch.after(self.pause(), lambda: self.begin(watch))

    def pause(self) -> float:
        """Return the seconds until the next check: the start interval during the start period, else the interval."""
        return max(LEAST_PAUSE, self.start_interval if self._hurries() else self.interval)

    def _hurries(self) -> bool:
        return self.status == STARTING and self._is_early()

    def _is_early(self) -> bool:
        return time.monotonic() - self.since < self.start_period

    def begin(self, watch: WaitLoop) -> None:
        """Run the command in the box, in a child of the monitor that joins the box as `exec` does.

        A paused box is not checked: the check is put off for one pause. A check that cannot begin counts as a failure.
        """
        self.printed, self.begun = b"", state.now()
        try:
            if self.container.cgroup.frozen():
                self._plan_next(watch)
                return
            self.output, writing = os.pipe()
            try:
                self._fork(writing)
            finally:
                os.close(writing)
        except (OSError, TinyboxError) as error:  # EMFILE, or EAGAIN: the box has as many processes as its limit allows
            wait_loop.close_quietly(self.output)
            self._judge(-1, f"the check cannot begin: {error}")
            self._plan_next(watch)
            return
        os.set_blocking(self.output, False)
        watch.listen(self.output, lambda: self._listen(watch))
        watch.listen(self.pidfd, lambda: self.end(watch))
        watch.after(self.timeout + GRACE, lambda pid=self.pid: self._expire(watch, pid))  # type: ignore[misc]

    def _fork(self, writing: int) -> None:
        """Make the child in the box's control group of version 2; see CLONE_INTO_CGROUP in clone3(2).

        The child joins the groups of version 1 itself, before all else: so the kernel does not wait, see
        `Cgroup.enter`.
        """
        group = self.container.cgroup.open(beside=self.container.handles.pid)
        try:
            self.pid, self.pidfd = process.clone3(0, cgroup=group)
            if self.pid == 0:
                self._be_the_check(writing)
        finally:
            if group is not None:
                os.close(group)

    def _plan_next(self, watch: WaitLoop) -> None:
        watch.after(self.pause(), lambda: self.begin(watch))

    def _be_the_check(self, writing: int) -> NoReturn:
        """Be the child: run the command with the pipe as its output, and exit with the command's status.

        After the timeout this process kills the command, and then itself. It must not be killed before the command: an
        orphan would wait for the host's PID 1 to reap it, and would delay the end of the box.
        """
        status = 1
        try:
            container = self.container
            container.cgroup.enter(container.cgroup.open_tasks())
            own_memory.set_title(b"tinybox:check", container.host.arguments)
            from tinybox.container import execute
            from tinybox.container.process import spawn
            from tinybox.container.process.handles import Handles
            from tinybox.container.running import running

            os.dup2(writing, 1)
            os.dup2(writing, 2)
            with running(container.paths, container.id) as target, wait_loop.Signals() as signals:
                check = execute.Execution(container.paths, container.host, target, self.test, {}, Handles())
                check.start_in_group()
                ended = select.select([check.handles.pidfd], [], [], self.timeout)[0]
                if not ended:
                    spawn.kill(check.handles)
                    os.kill(os.getpid(), signal.SIGKILL)
                status = wait_loop.watch(check, signals).status
        except Exception as error:  # noqa: BLE001  any error becomes the output of the check
            os.write(writing, str(error).encode())
        finally:
            os._exit(status)

    def _listen(self, watch: WaitLoop) -> None:
        """Read all that the check prints, so that it never waits; keep the first OUTPUT_MAX bytes."""
        try:
            data = os.read(self.output, 65536)
        except BlockingIOError:
            return
        self.printed = (self.printed + data)[:OUTPUT_MAX]
        if not data:
            watch.ignore(self.output)

    def _expire(self, watch: WaitLoop, pid: int) -> None:
        """Kill the check with number *pid* if it still runs after its timeout; if the box is paused, wait again.

        Another check with another pid may run by now: it is left alone.
        """
        if self.pid != pid or self.pidfd < 0:
            return
        if self.container.cgroup.frozen():
            watch.after(self.timeout + GRACE, lambda: self._expire(watch, pid))
        else:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def end(self, watch: WaitLoop) -> None:
        """Read the check's status and output, judge them, and plan the next check."""
        watch.ignore(self.pidfd)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._listen(watch)
        watch.ignore(self.output)
        output = self.printed.decode(errors="replace")
        if code < 0:
            is_late = state.now() - self.begun >= self.timeout * 1e9
            killed = f"the check was killed by signal {-code}"
            code, output = -1, f"Health check exceeded timeout ({self.timeout:g}s)" if is_late else killed
        self._judge(code, output)
        self.close()
        self._plan_next(watch)

    def _judge(self, code: int, output: str) -> None:
        former = self.status
        if code == 0:
            self.status, self.failures = HEALTHY, 0
        elif self.status != STARTING or not self._is_early():
            self.failures += 1
            if self.failures >= self.retries:
                self.status = UNHEALTHY
        row: dict[str, object] = {"Start": self.begun, "End": state.now(), "ExitCode": code, "Output": output}
        self.log = [*self.log, row][-LOG_MAX:]
        if self.status != former:  # the event comes first: a reader of the new status may ask for it at once
            self.container.emit(f"health_status: {self.status}")
        self._write()

    def _write(self) -> None:
        health: dict[str, object] = {"Status": self.status, "FailingStreak": self.failures, "Log": self.log}
        try:
            self.container.record.write(health=health)
        except StateError:  # a full disk: the container goes on
            return

    def close(self) -> None:
        """Kill the check that still runs, if there is one, and close its fds."""
        if self.pidfd >= 0:
            try:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            os.close(self.pidfd)
            os.close(self.output)
        self.pid = self.pidfd = self.output = -1
