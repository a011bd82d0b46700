"""What students do in the tests of the exercises: answers, and commands for a shell; right ones and wrong ones.

A deed is a text with the fields of the exercise's numbers: an answer if the task asks for one, or else commands. Some
are functions of the numbers that return such a text. A wrong deed has a part of the sentence that has to refuse it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.boxes import until
from tests.support.screens import screen
from tinybox.container.records.paths import Paths
from tinybox.container.views import listing
from tinybox.lab import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Command

    Numbers = dict[str, Any]
    Deed = str | Callable[[Command, Numbers], str]

KILL_SHELL = 'tinybox exec {box} sh -c \'kill $(ps -o pid,args | grep "[s]h -c sleep %d" | awk "{{print \\$1}}")\''


def numbered(box: str) -> Deed:
    """Return a deed: the host's PID of the process that has the wanted number in the box of this field."""

    def answer(tinybox: Command, numbers: Numbers) -> str:
        pids = listing.find(Paths(tinybox.root), numbers[box]).processes()
        return str(next(pid for pid in pids if look.status(pid, "NSpid").split()[-1] == str(numbers["inner"])))

    return answer


def first_process(tinybox: Command, numbers: Numbers) -> str:
    """Answer with the host's PID of the first process of the box."""
    return str(listing.find(Paths(tinybox.root), numbers["box"]).state["pid"])


def other_shell(_: Command, numbers: Numbers) -> str:
    """Kill the parent of a sleeper that was to keep it."""
    other = next(each for each in numbers["sleepers"] if each != numbers["chosen"])
    return str(KILL_SHELL % other).format(**numbers)


def new_sleeper(_: Command, numbers: Numbers) -> str:
    """Kill the sleeper, and start another one, whose parent is PID 1 of no box."""
    words = "tinybox exec {box} pkill -xf 'sleep {chosen}'; tinybox exec -d {box} sleep {chosen}"
    return words.format(**numbers)


def other_signal(_: Command, numbers: Numbers) -> str:
    """Send a signal that the parent of the zombies does not catch."""
    return f"tinybox kill -s {'USR1' if numbers['signal'] != 'USR1' else 'USR2'} {numbers['box']}"


def typed(*lines: str) -> Deed:
    """Return a deed: type lines for the shell of the box; each time, the test waits for the shell's answer."""

    def act(tinybox: Command, numbers: Numbers) -> str:
        with screen(tinybox, "attach", numbers["box"]) as terminal:
            terminal.type("PS1='%''> '\n")
            terminal.wait_for("%> ")
            for line in lines:
                terminal.type(line.format(**numbers))
                if line == "\x1a":
                    terminal.wait_for("%> ")
                elif line.endswith("\n") and "&" not in line and line != "bg\n":
                    command = line.format(**numbers).strip()
                    until(lambda command=command: command in command_lines(tinybox, numbers["box"]))  # type: ignore[misc]
                elif line.endswith("\n"):
                    terminal.wait_for("%> ")
            terminal.type("\x10\x11")
            assert terminal.status() == 0
        return ""

    return act


def command_lines(tinybox: Command, box: str) -> list[str]:
    """Return the command lines of the processes of a box."""
    pids = listing.find(Paths(tinybox.root), box).processes()
    return [look.text(f"/proc/{pid}/cmdline").replace("\0", " ").strip() for pid in pids]


def size(plus: int) -> Deed:
    """Return a deed: the size of the changed file of the image in the exercise copy-up, and *plus*."""

    def answer(tinybox: Command, numbers: Numbers) -> str:
        changed = [line[2:] for line in tinybox("diff", numbers["box"]).stdout.splitlines() if line.startswith("C ")]
        shown = tinybox("exec", numbers["box"], "stat", "-c", "%F:%s", *changed).stdout.splitlines()
        return next(str(int(line.rpartition(":")[2]) + plus) for line in shown if line.startswith("regular file"))

    return answer


def before(tinybox: Command, numbers: Numbers) -> str:
    """Answer with the size that the changed file has in the image."""
    deed = size(-numbers["more"])
    assert callable(deed)
    return deed(tinybox, numbers)


def other_boxes(key: str) -> list[Deed]:
    """Return deeds that answer with each box of the exercise but the one of this field."""

    def answer(which: int) -> Deed:
        return lambda _, numbers: str([name for name in numbers["boxes"] if name != numbers[key]][which])

    return [answer(which) for which in range(3)]


def other_kind(_: Command, numbers: Numbers) -> str:
    """Answer with the right boxes, and a namespace that they do not share."""
    return f"{'uts' if numbers['kind'] != 'uts' else 'ipc'} {numbers['first']} {numbers['second']}"


def other_pair(_: Command, numbers: Numbers) -> str:
    """Answer with the right kind of namespace, and a box that has its own."""
    third = next(name for name in numbers["boxes"] if name not in (numbers["first"], numbers["second"]))
    return f"{numbers['kind']} {numbers['first']} {third}"


# The answers; an exercise that asks for none is solved by the commands in its solution.
RIGHT: dict[str, Deed] = {
    "two-numbers": numbered("box"),
    "open-deleted": "{word}",
    "full-pipe": "{guilty}",
    "job-control": typed("sleep {back}\n", "\x1a", "bg\n", "sleep {stopped}\n", "\x1a", "sleep {fore}\n"),
    "lock-holder": "{holder}",
    "copy-up": size(0),
    "odd-namespace": "{kind} {second} {first}",
    "hidden-file": "{word}",
    "oom-kill": "{guilty}",
}
RUN = "tinybox run -d --name {second} --network none "
UPDATE = "tinybox update --memory-swap -1 -m %s {box} && tinybox start {box}"
# The program is ready, so it has what it needed.
READY = "until tinybox exec {box} test -e /shared/ready; do sleep 0.1; done"
WRONG: dict[str, list[tuple[Deed, str]]] = {
    "two-numbers": [
        (numbered("other"), "is in another pid namespace than the box"),
        (first_process, "has the number 1 in its box"),
        ("99999999", "there is no process 99999999"),
        ("{box}", "the answer is no PID"),
    ],
    "open-deleted": [("{box}", "not the word"), ("notes", "not the word"), ("{word}x", "not the word")],
    "full-pipe": [(deed, "does not wait for room in a pipe") for deed in other_boxes("guilty")],
    "adopt": [("", "not PID 1 of the box"), (other_shell, "was to"), (new_sleeper, "it was to go on")],
    "zombies": [
        ("", "zombies: their parent has not waited"),
        (other_signal, "the parent of the zombies has ended"),
        ("tinybox exec {box} kill -9 2", "the parent of the zombies has ended"),
    ],
    "stuck-stop": [
        ("", "its program is in state T"),
        ("tinybox kill {box}", "has ended with 137"),
        ("tinybox rm -f {box}", "there is no box"),
    ],
    "job-control": [
        ("", "there is not one process"),
        ("for s in {stopped} {back} {fore}; do tinybox exec -d {box} sleep $s; done", "it is in another session"),
        (typed("sleep {stopped} &\n", "sleep {back} &\n", "sleep {fore}\n"), "background, and was to be stopped"),
    ],
    "lock-holder": [(deed, "it is not in the box") for deed in other_boxes("holder")],
    "deadlock": [
        ("", "both boxes still wait"),
        ("tinybox kill {keep}; tinybox wait {other}", "has ended with 137"),
        ("tinybox pause {other}", "both boxes still wait"),
        ("tinybox exec {keep} pkill flock; tinybox wait {keep}", "has ended without its work"),
    ],
    "shared-memory": [
        ("", "there is no box"),
        (RUN + "alpine sleep 1000000", "two IPC namespaces"),
        (RUN + "--ipc container:{first} --pid container:{first} alpine sleep 1000000", "share the namespace pid, too"),
    ],
    "copy-up": [(size(1), "does not have"), (before, "does not have"), ("{more}", "does not have"), ("x", "no")],
    "deleted-file": [
        ("", "the box sees no file"),
        ("tinybox exec {box} touch {file}", "has another content"),
        ("tinybox restart -t 0 {box}", "was to go on"),
    ],
    "hidden-memory": [
        ("", "a tmpfs of the box still holds"),
        ("tinybox exec {box} rm /var/cache/decoy", "was to stay"),
        ("tinybox restart -t 0 {box}", "was to go on"),
    ],
    "odd-namespace": [(other_kind, "each a"), (other_pair, "each a"), ("{first} {second}", "begins with none")],
    "hidden-file": [("{folder}", "not the word"), ("word", "not the word"), ("{word} {word}", "not the word")],
    "end-143": [
        ("", "still runs"),
        ("tinybox exec {box} pkill -f 'sleep {decoy}'", "still runs"),
        ("tinybox stop -t 0 {box}", "has ended with 137"),
    ],
    "oom-kill": [
        *((deed, "not by the OOM killer") for deed in other_boxes("guilty")[:2]),
        ("137", "none of the boxes"),
    ],
    "memory-limit": [
        ("", "does not run: its exit status is 137"),
        (UPDATE % "200m", "at most"),
        ((UPDATE % "200m") + f"; {READY}; tinybox update -m {{limit}}m {{box}}", "could not start again"),
        ((UPDATE % "{limit}m") + "; tinybox wait {box}", "does not run: its exit status is 137"),
    ],
    "cpu-quota": [
        ("", "is to have"),
        ("tinybox update --cpus 0.5 {busy}", "is to have"),
        ("tinybox update --cpus 0.5 {list}", "%"),
    ],
    "fork-bomb": [
        ("", "of the bomb still run"),
        ("tinybox pause {box}", "the box is paused"),
        ("tinybox update --pids-limit 100 {box}", "the limit was to stay"),
    ],
}  # fmt: skip
