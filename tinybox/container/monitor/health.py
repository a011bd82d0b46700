"""Health checks: a command that the monitor runs in the box now and then; what it says is written down, no more.

starting --success--> healthy --N failures in a row--> unhealthy --success--> healthy

What a check costs is the box's affair: the process that runs it is in the box's control groups from its birth to its
end. The monitor is not, and its own part, a fork and a line of state.json, is kept small by a least pause.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time

from tinybox.container.records import spec, state
from tinybox.errors import StateError, TinyboxError
from tinybox.linux import own_memory, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from tinybox.container.lifecycle import Container
    from tinybox.container.process.wait_loop import WaitLoop

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
LEAST_PAUSE = 0.1  # seconds between two checks, whatever interval was asked for: to fork is the monitor's own time
GRACE = 2.0  # seconds after the timeout, for a check that cannot even begin
OUTPUT_MAX, LOG_MAX = 4096, 5  # bytes of output kept of a check, and checks kept, as docker's


def prepare(container: Container) -> None:
    """Let the state say ``starting`` from the moment in which it says that the container runs."""
    if container.annotations.get(spec.HEALTH):
        container.record.state["health"] = {"Status": STARTING, "FailingStreak": 0, "Log": []}


class Check:
    """One container's check: *test* is the program with its arguments; times are in seconds."""

    def __init__(self, container: Container, settings: dict[str, Any]) -> None:
        self.container = container
        self.test: list[str] = settings["test"]
        self.interval, self.timeout = float(settings["interval"]), float(settings["timeout"])
        self.retries, self.start_period = int(settings["retries"]), float(settings["startPeriod"])
        self.start_interval = float(settings.get("startInterval", self.interval))  # a box of an older tinybox has none
        self.since = time.monotonic()
        self.status, self.failures, self.log = STARTING, 0, list[dict[str, object]]()
        self.pid = self.pidfd = self.output = -1
        self.begun, self.said = 0, b""

    @classmethod
    def of(cls, container: Container) -> Check | None:
        """Return the check that the container's annotations ask for, or None."""
        text = container.annotations.get(spec.HEALTH, "")
        return cls(container, json.loads(text)) if text else None

    def attend(self, watch: WaitLoop) -> None:
        """Begin: the first check comes after one interval, as docker's does."""
        from tinybox.container import execute  # noqa: F401  loaded here once, and not by each check in the box's memory

        watch.after(self.pause(), lambda: self.begin(watch))

    def pause(self) -> float:
        """Return how long to wait until the next check: while it starts they may come closer upon one another."""
        return max(LEAST_PAUSE, self.start_interval if self._hurries() else self.interval)

    def _hurries(self) -> bool:
        return self.status == STARTING and self._is_early()

    def _is_early(self) -> bool:
        return time.monotonic() - self.since < self.start_period

    def begin(self, watch: WaitLoop) -> None:
        """Run the command in the box, in a child of ours that joins it as `exec` does; a paused box is not asked."""
        if self.container.cgroup.frozen():
            self._plan_next(watch)
            return
        self.output, writing = os.pipe()
        os.set_blocking(self.output, False)
        self.said, self.begun = b"", state.now()
        try:
            self._fork(writing)
        except (OSError, TinyboxError) as error:  # the box may have no more processes, under its limit: EAGAIN
            os.close(self.output)
            self._judge(-1, f"the check cannot begin: {error}")
            self._plan_next(watch)
            return
        finally:
            os.close(writing)
        watch.listen(self.output, lambda: self._listen(watch))
        watch.listen(self.pidfd, lambda: self.end(watch))
        watch.after(self.timeout + GRACE, lambda pid=self.pid: self._expire(watch, pid))  # type: ignore[misc]

    def _fork(self, writing: int) -> None:
        """Make the child in the box's control group of version 2; those of version 1 it joins before all else.

        See CLONE_INTO_CGROUP in clone3(2). Joining a group of version 1 may take 20 ms, in which the monitor has other
        things to do.
        """
        group = self.container.cgroup.open(beside=self.container.handles.pid)
        try:
            self.pid, self.pidfd = process.clone3(0, cgroup=group)
            if self.pid == 0:
                self._be_the_check(writing, unified=group is None)
        finally:
            if group is not None:
                os.close(group)

    def _plan_next(self, watch: WaitLoop) -> None:
        watch.after(self.pause(), lambda: self.begin(watch))

    def _be_the_check(self, writing: int, *, unified: bool) -> NoReturn:
        """Be the child: its streams are the pipe, its end is the command's; after the timeout, both are killed.

        Nobody may kill us first: an orphan of ours would wait for the host's PID 1, and hold up the end of the box.
        """
        status = 1
        try:
            container = self.container
            container.cgroup.join(os.getpid(), unified=unified)
            own_memory.set_title(b"tinybox:check", container.host.arguments)
            from tinybox.container import control, execute
            from tinybox.container.process import spawn, wait_loop
            from tinybox.container.process.handles import Handles

            os.dup2(writing, 1)
            os.dup2(writing, 2)
            with control.running(container.paths, container.id) as target, wait_loop.Signals() as signals:
                running = execute.Execution(container.paths, container.host, target, self.test, {}, Handles())
                running.start()
                ended = select.select([running.handles.pidfd], [], [], self.timeout)[0]
                if not ended:
                    spawn.kill(running.handles)
                    os.kill(os.getpid(), signal.SIGKILL)
                status = wait_loop.watch(running, signals).status
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the check says
            os.write(writing, str(error).encode())
        finally:
            os._exit(status)

    def _listen(self, watch: WaitLoop) -> None:
        """Take what the check says, all of it, so that it never waits; the beginning is kept."""
        try:
            data = os.read(self.output, 65536)
        except BlockingIOError:
            return
        self.said = (self.said + data)[:OUTPUT_MAX]
        if not data:
            watch.ignore(self.output)

    def _expire(self, watch: WaitLoop, pid: int) -> None:
        """End this very check, if it still runs when its time is over. In a paused box no time passes."""
        if self.pid != pid or self.pidfd < 0:
            return
        if self.container.cgroup.frozen():
            watch.after(self.timeout + GRACE, lambda: self._expire(watch, pid))
        else:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def end(self, watch: WaitLoop) -> None:
        """Take in what the check said, and plan the next one."""
        watch.ignore(self.pidfd)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._listen(watch)
        watch.ignore(self.output)
        said = self.said.decode(errors="replace")
        if code < 0:
            is_late = state.now() - self.begun >= self.timeout * 1e9
            killed = f"the check was killed by signal {-code}"
            code, said = -1, f"Health check exceeded timeout ({self.timeout:g}s)" if is_late else killed
        self._judge(code, said)
        self.close()
        self._plan_next(watch)

    def _judge(self, code: int, said: str) -> None:
        former = self.status
        if code == 0:
            self.status, self.failures = HEALTHY, 0
        elif self.status != STARTING or not self._is_early():
            self.failures += 1
            if self.failures >= self.retries:
                self.status = UNHEALTHY
        row: dict[str, object] = {"Start": self.begun, "End": state.now(), "ExitCode": code, "Output": said}
        self.log = [*self.log, row][-LOG_MAX:]
        if self.status != former:  # told first: who sees the new status may ask for the event at once
            self.container.tell(f"health_status: {self.status}")
        self._write()

    def _write(self) -> None:
        health: dict[str, object] = {"Status": self.status, "FailingStreak": self.failures, "Log": self.log}
        try:
            self.container.record.write(health=health)
        except StateError:  # a full disk is no reason to end the container
            return

    def close(self) -> None:
        """Close what a check has open; one that still runs is ended first."""
        if self.pidfd >= 0:
            try:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            os.close(self.pidfd)
            os.close(self.output)
        self.pid = self.pidfd = self.output = -1
