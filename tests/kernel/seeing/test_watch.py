"""`tinybox watch` on a real box: it shows what the kernel says, marks what differs, and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from textual.containers import VerticalScroll

from tests.conftest import Command
from tests.support.boxes import PATIENCE, new_name, until
from tests.support.browser import Browser, chromium
from tests.support.detached_boxes import Life, life
from tinybox.container.records.paths import Paths
from tinybox.seeing.watch.look import Box
from tinybox.seeing.watch.process_facts import UpperDirectory
from tinybox.seeing.watch.server import ADDRESS, Looks, Server
from tinybox.seeing.watch.terminal import STYLES, Lines, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.pilot import Pilot
    from textual.strip import Strip

    from tinybox.seeing.watch.rows import Row, View

__all__ = ["chromium"]

pytestmark = pytest.mark.root

MEMORY = 64 << 20


@pytest.fixture(scope="module")
def live(store_root: Path) -> Iterator[Life]:
    """Keep one box for all tests of this file: with a limit of memory, on the bridge, its program sleeps."""
    tinybox, name = Command(store_root), new_name()
    done = tinybox("run", "-d", "--name", name, "-m", str(MEMORY), "--network", "bridge", "busybox", "sleep", "10000")
    assert done.returncode == 0, done.stderr
    try:
        yield Life(tinybox, name)
    finally:
        tinybox("rm", "-fv", name)


def watched(live: Life) -> Box:
    """Return the reader of the box."""
    return Box(Paths(live.tinybox.root), live.name)


def inside(live: Life, script: str) -> None:
    """Run a script in the box to its end."""
    done = live.tinybox("exec", live.name, "sh", "-c", script)
    assert done.returncode == 0, done.stderr


def row(view: View, panel: str, key: str) -> Row:
    """Return one row of a panel."""
    return next(row for row in view.panel(panel) if row.key == key)


def members(live: Life) -> list[int]:
    """Return the pids of the processes in the box's pid namespace, from /proc."""
    own = os.readlink(f"/proc/{live.pid}/ns/pid")
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{name}/ns/pid") == own:
                found.append(int(name))
    return found


def marked(view: View) -> list[tuple[str, str, str]]:
    """Return the rows that a view marks."""
    return [(panel.name, row.key, row.mark) for panel in view.panels for row in panel.rows if row.mark]


def settled(box: Box) -> View:
    """Look until two looks are alike: what earlier tests and the network have changed is over then."""
    views: list[View] = []

    def is_quiet() -> bool:
        views.append(box.look())
        return len(views) > 1 and not marked(views[-1])

    until(is_quiet)
    return views[-1]


def test_processes_have_both_numbers(live: Life) -> None:
    """Each process of the box is there with its pid on the host and in the box, as NSpid in /proc says."""
    shown = {row.key: row for row in watched(live).look().panel("processes")}
    assert set(shown) - {"owner"} == set(map(str, members(live)))
    for pid in members(live):
        status = Path(f"/proc/{pid}/status").read_text()
        outside, within = re.findall(r"^NSpid:\s(\d+)\s(\d+)$", status, re.MULTILINE)[0]
        assert shown[str(pid)].host.split()[0] == outside
        assert re.match(rf"\W*{within} ", shown[str(pid)].box), shown[str(pid)].box
    assert shown["owner"].host.split() == [str(live.monitor), "tinybox:monitor"]


def test_namespaces_and_mounts_are_those_of_proc(live: Life) -> None:
    """Inode numbers as readlink gives them for host and box; a row for each line of mountinfo."""
    view = watched(live).look()
    for kind in ("pid", "mnt", "net", "user"):
        numbers = [re.findall(r"\d+", os.readlink(f"/proc/{who}/ns/{kind}"))[0] for who in ("self", live.pid)]
        shown = row(view, "namespaces", kind)
        assert [shown.host.split()[1], shown.box.split()[0]] == numbers
        assert shown.box.endswith("the same") == (numbers[0] == numbers[1])
    lines = Path(f"/proc/{live.pid}/mountinfo").read_text().splitlines()
    assert [row.key for row in view.panel("mounts")] == [line.split()[0] for line in lines]


def looked_until(box: Box, panel: str, pattern: str, *marks: str) -> Row:
    """Look until a row of *panel* with a match of *pattern* has one of these *marks*, and return the row."""
    found: list[Row] = []

    def is_there() -> bool:
        found.extend(row for row in box.look().panel(panel) if re.search(pattern, row.box) and row.mark in marks)
        return bool(found)

    until(is_there)
    return found[0]


def test_an_unchanged_box_marks_nothing_and_a_new_process_is_marked(live: Life) -> None:
    """Three looks at a box at rest have no mark. The control: a process is new, and then gone.

    Network devices are left out: the kernel of the host sends packets to the box by itself, such as those of IPv6.
    """
    box = watched(live)
    settled(box)
    looks = [marked(box.look()) for _ in range(3)]
    assert [mark for marks in looks for mark in marks if mark[0] != "network"] == []
    with live.tinybox.start("exec", live.name, "sleep", "5000") as running:
        # The process that makes the program has the command line of `exec`; the program has it, too, until execve(2).
        program = r"^\d+ sleep 5000$"
        new = looked_until(box, "processes", program, "new", "changed")
        os.kill(int(new.key), signal.SIGKILL)
        running.wait(PATIENCE)
    assert looked_until(box, "processes", program, "gone").key == new.key
    assert new.key not in [row.key for row in settled(box).panel("processes")]


def test_the_memory_counter_grows(live: Life) -> None:
    """20 MiB in /dev/shm are 20 MiB more in the counter and in its history; before, at rest, it stays."""
    box = watched(live)
    first, second = (row(settled(box), "counters", "memory").number for _ in range(2))
    assert first is not None
    assert second is not None
    assert abs(second - first) < 1 << 20
    inside(live, "head -c 20m /dev/zero >/dev/shm/twenty")
    try:
        grown = row(box.look(), "counters", "memory")
        assert (grown.number or 0) - second >= 19 << 20  # MiB; pages of the programs before may be free by now
        assert grown.mark == "changed"
        assert "of 64MiB" in grown.box
        history = box.history["counters memory"]
        assert history[-1] - history[0] >= 19 << 20
    finally:
        inside(live, "rm /dev/shm/twenty")


def test_files_in_the_upper_directory_are_told_apart(live: Life) -> None:
    """An added, a changed and a deleted file of the box are marked as new, and the host has each at the shown path."""
    box = watched(live)
    settled(box)
    inside(live, "echo hello >/etc/fresh; echo x:x:9: >>/etc/group; rm /etc/passwd")
    fresh = looked_until(box, "upper", "/etc/fresh", "new")
    view = box.look()
    kinds = {key: row(view, "upper", key).box.split() for key in ("/etc/fresh", "/etc/group", "/etc/passwd")}
    assert [words[1].rstrip(",") for words in kinds.values()] == ["added", "changed", "deleted"]
    bundle = Path(live.tinybox.root) / "containers" / live.id
    assert (bundle / fresh.host).read_text() == "hello\n"
    assert row(view, "upper", "/etc/hosts").box.endswith("only a mount point")


def test_network_counters_count_on_both_sides(live: Life) -> None:
    """A packet of 1000 bytes to the bridge is in the box's device, and what the box sends its veth receives."""
    box = watched(live)
    former = row(settled(box), "network", "eth0").number or 0
    inside(live, "ping -c 1 -s 1000 -W 1 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p') >/dev/null")
    shown = row(box.look(), "network", "eth0")
    assert (shown.number or 0) - former >= 2000
    counted = dict(
        zip(("there", "here"), ([*re.findall(r"(?:in|out) (\S+)", text)] for text in shown[1:3]), strict=True)
    )
    assert counted["there"] == counted["here"][::-1]


def test_open_files_name_the_other_end_of_a_pipe(live: Life) -> None:
    """The output of the program is a pipe to the monitor, whose descriptor is the other end of the same pipe."""
    shown = row(watched(live).look(), "files", f"{live.pid} 1")
    found = re.search(r"pid (\d+), fd (\d+)", shown.host)
    assert found, shown
    assert int(found[1]) == live.monitor
    assert os.readlink(f"/proc/{found[1]}/fd/{found[2]}") == os.readlink(f"/proc/{live.pid}/fd/1")
    assert shown.box == f"1: 1 -> {os.readlink(f'/proc/{live.pid}/fd/1')}"


def test_an_open_file_is_found_in_the_upper_directory(live: Life) -> None:
    """A file that the box has made and opened has its place in the upper directory; one of the image has none.

    A link in the upper directory is not followed: the box could lead it to a path of the host.
    """
    script = "echo a >/made; ln -s /etc /led; exec 4</made 5</bin/busybox; exec sleep 4000"
    with live.tinybox.start("exec", live.name, "sh", "-c", script) as running:
        made = looked_until(watched(live), "files", ": 4 -> /made", "", "new")
        assert made.host.split()[1] == "upper/made"
        files = {row.box.partition(": ")[2]: row.host.split()[1] for row in watched(live).look().panel("files")}
        assert files["5 -> /bin/busybox"] == "file"
        os.kill(int(made.key.split()[0]), signal.SIGKILL)
        running.wait(PATIENCE)
    upper = Path(live.tinybox.root) / "containers" / live.id / "upper"
    with UpperDirectory(str(upper)) as directory:
        assert (upper / "led/hostname").exists()  # the control: with the link followed, it is a file of the host
        assert [directory.has(path) for path in ("/made", "/led", "/led/hostname")] == [True, True, False]


@pytest.fixture
def audited() -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """Give the list of Python's audit events of this thread while the test runs; see sys.addaudithook."""
    events: list[tuple[str, tuple[Any, ...]]] = []
    on, thread = [True], threading.get_ident()

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if on and threading.get_ident() == thread and not event.startswith(("object.", "compile", "exec", "import")):
            events.append((event, arguments))

    sys.addaudithook(note)  # a hook cannot be removed
    yield events
    on.clear()


def test_a_look_changes_nothing(live: Life, audited: list[tuple[str, tuple[Any, ...]]]) -> None:
    """A look opens for reading only, lists and reads links, and leaves the access times of the upper directory.

    The control: to list the directory in the usual way changes its access time.
    """
    box, etc = watched(live), Path(live.tinybox.root) / "containers" / live.id / "upper/etc"
    inside(live, "echo hello >/etc/fresh")
    os.utime(etc, (1, etc.stat().st_mtime))
    os.utime(etc / "fresh", (1, 1))
    audited.clear()
    view = box.look()
    events = list(audited)
    assert row(view, "upper", "/etc/fresh").host == "upper/etc/fresh"
    assert {event for event, _ in events} <= {"open", "os.listdir", "os.scandir", "os.getxattr", "ctypes.get_errno"}
    assert "open" in {event for event, _ in events}
    ways = {flags & os.O_ACCMODE for event, (_, _, flags) in ((e, a) for e, a in events if e == "open")}
    assert ways == {os.O_RDONLY}
    assert (etc.stat().st_atime, (etc / "fresh").stat().st_atime) == (1, 1)
    assert [path for path in map(Path, map("/proc/{}/status".format, members(live)))
            if "\nTracerPid:\t0\n" not in path.read_text()] == []  # fmt: skip
    os.listdir(etc)
    if not os.statvfs(etc).f_flag & os.ST_NOATIME:
        assert etc.stat().st_atime > 1


def test_a_box_that_ends_is_shown_as_ended(tinybox: Command) -> None:
    """The view keeps the last facts without marks, and says the status; a removed box says that it was removed."""
    name = new_name()
    assert tinybox("run", "-d", "--name", name, "busybox", "sleep", "1000").returncode == 0
    box = Box(Paths(tinybox.root), name)
    try:
        alive = box.look()
        assert alive.ended == ""
        tinybox("kill", name)
        tinybox("wait", name)
        ended = box.look()
        assert ended.ended == "ended with status 137"
        assert [row.key for row in ended.panel("processes")] == [row.key for row in alive.panel("processes")]
        assert marked(ended) == []
    finally:
        tinybox("rm", "-f", name)
    assert box.look().ended == "the container was removed"


def answer(server: Server, path: str, method: str = "GET", host: str = "") -> tuple[int, bytes]:
    """Ask the server for *path* below its address."""
    client = http.client.HTTPConnection(ADDRESS, server.server_port, timeout=PATIENCE)
    try:
        client.request(method, path, headers={"Host": host or f"{ADDRESS}:{server.server_port}"})
        got = client.getresponse()
        return got.status, got.read()
    finally:
        client.close()


@pytest.fixture
def server(live: Life) -> Iterator[Server]:
    """Give a server on a free port of the loopback address."""
    with Server(Looks([watched(live)]), 0) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_the_server_answers_this_machine_alone(live: Life, server: Server) -> None:
    """Page and looks need the token, a Host header of the loopback address, and GET; without one there is no answer."""
    place = f"/{server.token}/"
    status, body = answer(server, place + "look/0")
    view = json.loads(body)["view"]
    assert (status, view["pid"], view["name"]) == (200, live.pid, live.name)
    assert answer(server, place)[0] == 200
    assert answer(server, place, host=f"localhost:{server.server_port}")[0] == 200
    for host in ("evil.example", f"evil.example:{server.server_port}", ADDRESS, f"{ADDRESS}:1"):
        assert answer(server, place, host=host)[0] == 403, host
    for path in (
        "/",
        "/look/0",
        f"/{server.token[:-1]}/",
        place + "look/1",
        place + "look/-1",
        place + "../etc/passwd",
    ):
        assert answer(server, path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        assert answer(server, place, method)[0] == 405, method
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_the_command_serves_until_it_is_interrupted(live: Life) -> None:
    """`watch --serve` prints an address that answers; Ctrl-C ends it with 0; a second server gets no taken port."""
    with live.tinybox.start("watch", "--serve", live.name) as serving:
        assert serving.stdout
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/([\w-]{20,})/\n", serving.stdout.readline())
        assert found
        client = http.client.HTTPConnection(ADDRESS, int(found[1]), timeout=PATIENCE)
        client.request("GET", f"/{found[2]}/look/0")
        assert json.loads(client.getresponse().read())["view"]["pid"] == live.pid
        client.close()
        taken = live.tinybox("watch", "--serve", found[1], live.name)
        assert taken.returncode == 1
        assert re.fullmatch(rf"tinybox: --serve {found[1]}: Address already in use \(.*\)\n", taken.stderr)
        serving.send_signal(signal.SIGINT)
        assert serving.wait(PATIENCE) == 0


def test_a_recording_is_a_page_without_a_network(live: Life, tmp_path: Path, chromium: Browser) -> None:
    """`watch --html FILE` writes one file; the browser shows its rows and goes from look to look, and asks nobody."""
    path = tmp_path / "watch.html"
    done = live.tinybox("watch", "--html", str(path), "--looks", "2", live.name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    chromium.open(path, 1280, 800)
    shown = chromium.value("[...document.querySelectorAll('.row')].map(row => row.textContent)")
    assert [text for text in shown if str(live.pid) in text and "tinybox:init" in text]
    assert chromium.value("document.body.dataset.look") == "0"
    chromium.press("ArrowRight")
    assert chromium.value("document.body.dataset.look") == "1"
    assert chromium.value("document.querySelectorAll('svg path').length") >= 3
    chromium.open(path, 390, 844)
    assert chromium.value("document.documentElement.scrollWidth") <= 390
    assert chromium.complaints == []


def shown(app: Watch, name: str) -> str:
    """Return the text of a part of the screen."""
    return "\n".join(line.plain for line in app.query_one(f"#{name}", Lines).lines)


async def reached(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Let the application work until *condition* is true: on a busy machine one pause can be too short."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await pilot.pause()


def colours(app: Watch) -> set[str]:
    """Return the styles of marks in the panels."""
    lines = app.query_one("#body", Lines).lines
    return {str(span.style) for line in lines for span in line.spans} & set(STYLES.values())


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_the_terminal_shows_host_and_box(live: Life, size: tuple[int, int]) -> None:
    """Both numbers of the first process, the limit in its panel; all panels when it is tall; lines fit; q ends."""

    async def use() -> None:
        app = Watch([watched(live)])
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            assert re.search(rf"{live.pid} .*\| 1 tinybox:init", shown(app, "body"))
            is_tall = size[1] > 40
            assert ("pid:[" in shown(app, "body") or "namespace" in shown(app, "body")) == is_tall
            await pilot.press("7", "end")
            panels = app.query_one(VerticalScroll)
            await reached(pilot, lambda: is_tall or panels.scroll_y > 0)
            await pilot.press("2")
            await reached(pilot, lambda: panels.scroll_y == 0)  # another panel begins with its first line
            assert "of 64MiB" in shown(app, "body")
            assert "tinybox:init" not in shown(app, "body")
            await pilot.press("a")
            assert "tinybox:init" in shown(app, "body")
            assert all(len(line) <= size[0] for name in ("body", "head", "tabs", "sparks")
                       for line in shown(app, name).splitlines())  # fmt: skip
            await pilot.press("q")
        assert app.return_code == 0

    asyncio.run(use())


@pytest.mark.parametrize("size", [(80, 24), (30, 12)])
def test_the_terminal_shows_that_a_box_has_ended(tinybox: Command, size: tuple[int, int]) -> None:
    """A box that has ended before the first look has no facts, but its head is there, whole, at the top."""
    with life(tinybox, "busybox", "sh", "-c", "exit 6") as ended:
        ended.ended()

        async def use() -> None:
            app = Watch([Box(Paths(tinybox.root), ended.name)])
            async with app.run_test(size=size) as pilot:
                await pilot.pause()
                assert "ended with status 6" in " ".join(shown(app, "head").split())
                heights = [len(part.lines) for part in app.query(Lines)]
                places = [(sum(heights[:number]), height) for number, height in enumerate(heights)]
                parts = app.query(Lines)
                await reached(pilot, lambda: [(part.region.y, part.region.height) for part in parts] == places)
                assert max(len(line) for line in shown(app, "head").splitlines()) <= size[0]

        asyncio.run(use())


def test_the_terminal_colours_what_has_changed(live: Life) -> None:
    """After a look at a box at rest no part of the screen has the colour of a change; after an action it has."""

    async def use() -> None:
        box = watched(live)
        settled(box)
        app = Watch([box])
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("4")
            app.look()
            assert colours(app) == set()
            await asyncio.to_thread(inside, live, "echo again >/etc/again")

            def is_coloured() -> bool:
                app.look()
                return STYLES["new"] in colours(app)

            until(is_coloured)
            await pilot.press("space")
            assert "held" in shown(app, "head")

    asyncio.run(use())


def test_the_terminal_draws_only_lines_that_differ(live: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first look each line is drawn; later only those whose words or colours have changed: looks are cheap."""
    drawn: set[tuple[str | None, int]] = set()
    render = Lines.render_line

    def counted(self: Lines, y: int) -> Strip:
        drawn.add((self.id, y))
        return render(self, y)

    monkeypatch.setattr(Lines, "render_line", counted)

    async def use() -> None:
        box = watched(live)
        settled(box)
        app = Watch([box])
        async with app.run_test(size=(160, 48)) as pilot:
            await pilot.press("space")  # no look but those of this test
            await pilot.press("7")  # the mounts, which do not change
            await reached(pilot, lambda: {part for part, _ in drawn} == {"head", "sparks", "tabs", "body"})
            while drawn:  # until nothing waits to be drawn
                drawn.clear()
                await pilot.pause()
            parts = list(app.query(Lines))
            before = [list(part.lines) for part in parts]
            app.view, app.pace.share = box.look(), 0.123
            app.draw()
            changed = {
                (part.id, y)
                for part, former in zip(parts, before, strict=True)
                for y, line in enumerate(part.lines)
                if line != former[y]
            }
            await reached(pilot, lambda: drawn >= changed)
            await pilot.pause()
            assert drawn == changed
            assert ("head", 0) in changed
            assert "body" not in {part for part, _ in changed}

    asyncio.run(use())
