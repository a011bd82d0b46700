"""Health checks: a command that the monitor runs in the box now and then; what it says is written down, no more.

starting --success--> healthy --N failures in a row--> unhealthy --success--> healthy
"""

from __future__ import annotations

import json
import os
import select
import signal
import time

from tinybox.container import spec, state
from tinybox.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from tinybox.container.lifecycle import Container
    from tinybox.container.monitor import Watch

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
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

    def attend(self, watch: Watch) -> None:
        """Begin: the first check comes after one interval, as docker's does."""
        watch.after(self.pause(), lambda: self.begin(watch))

    def pause(self) -> float:
        """Return how long to wait until the next check: while it starts they may come closer upon one another."""
        return self.start_interval if self.status == STARTING and self._is_early() else self.interval

    def _is_early(self) -> bool:
        return time.monotonic() - self.since < self.start_period

    def begin(self, watch: Watch) -> None:
        """Run the command in the box, in a child of ours that joins it as `exec` does."""
        self.output, writing = os.pipe()
        os.set_blocking(self.output, False)
        self.said, self.begun = b"", state.now()
        self.pid = os.fork()
        if self.pid == 0:
            self._be_the_check(writing)
        os.close(writing)
        self.pidfd = os.pidfd_open(self.pid)
        watch.listen(self.output, lambda: self._listen(watch))
        watch.listen(self.pidfd, lambda: self.end(watch))
        watch.after(self.timeout + GRACE, self._expire(self.pid))

    def _be_the_check(self, writing: int) -> NoReturn:
        """Be the child: its streams are the pipe, its end is the command's; after the timeout, both are killed.

        Nobody may kill us first: an orphan of ours would wait for the host's PID 1, and hold up the end of the box.
        """
        status = 1
        try:
            from tinybox.container import control, execute, monitor, spawn
            from tinybox.container.live import Live

            os.dup2(writing, 1)
            os.dup2(writing, 2)
            container = self.container
            with control.running(container.home, container.id) as target, monitor.Signals() as signals:
                running = execute.Execution(container.home, container.host, target, self.test, {}, Live())
                running.start()
                ended = select.select([running.live.pidfd], [], [], self.timeout)[0]
                if not ended:
                    spawn.kill(running.live)
                    os.kill(os.getpid(), signal.SIGKILL)
                status = monitor.watch(running, signals).status
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the check says
            os.write(2, str(error).encode())
        finally:
            os._exit(status)

    def _listen(self, watch: Watch) -> None:
        """Take what the check says, all of it, so that it never waits; the beginning is kept."""
        try:
            data = os.read(self.output, 65536)
        except BlockingIOError:
            return
        self.said = (self.said + data)[:OUTPUT_MAX]
        if not data:
            watch.ignore(self.output)

    def _expire(self, pid: int) -> Any:
        """Return what ends this very check, if it still runs when its time is over."""

        def expire() -> None:
            if self.pid == pid and self.pidfd >= 0:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

        return expire

    def end(self, watch: Watch) -> None:
        """Take in what the check said, and plan the next one."""
        watch.ignore(self.pidfd)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._listen(watch)
        watch.ignore(self.output)
        said = self.said.decode(errors="replace")
        if code < 0:
            code, said = -1, f"Health check exceeded timeout ({self.timeout:g}s)"
        self._judge(code, said)
        self.close()
        watch.after(self.pause(), lambda: self.begin(watch))

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
