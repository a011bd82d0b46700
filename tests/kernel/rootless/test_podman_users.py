"""``--userns keep-id``, ``nomap``, ``auto`` without root: the map of ids from both sides, and the owners of files."""

from __future__ import annotations

import json
import os
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, one_line
from tests.support.student import COUNT, FIRST, ID, NAME, Student, student
from tinybox.isolation import allotment
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

__all__ = ["student"]

pytestmark = [pytest.mark.root, pytest.mark.rootless]

LOWER, UPPER = f"0 {FIRST} {ID}", f"{ID + 1} {FIRST + ID} {COUNT - ID}"
MAPS = {  # what root of the host reads in /proc/PID/uid_map of a process in the box
    "host": f"0 {ID} 1 1 {FIRST} {COUNT}",
    "keep-id": f"{LOWER} {ID} {ID} 1 {UPPER}",
    "keep-id:uid=7,gid=9": f"0 {FIRST} 7 7 {ID} 1 8 {FIRST + 7} {COUNT - 7}",
    "nomap": f"0 {FIRST} {COUNT}",
    "auto": f"0 {FIRST} 1024",
    "auto:size=3000": f"0 {FIRST} 3000",
    "auto:uidmapping=5:2000:2": f"0 {FIRST} 5 7 {FIRST + 7} 1017 5 {FIRST + 1999} 2",
}
USERS = {"host": 0, "keep-id": ID, "keep-id:uid=7,gid=9": 7}  # the user in the box, 0 with the other words
LOOK = "stat -c %u:%g"


@pytest.fixture
def store(student: Student) -> Iterator[Path]:
    """Give the store of the user; at the end no box, no volume, no range of ids and no half-made copy is left."""
    path = student.home / ".local/share/tinybox"
    yield path
    if left := student.says("ps", "-aq").split():
        student("rm", "-f", *left)  # else each later test fails, too
    assert left == []
    for name in ("containers", "tmp", "volumes"):
        assert not (path / name).exists() or os.listdir(path / name) == [], name
    assert not list((path / "ids").glob("[0-9]*"))


@pytest.fixture
def shared(student: Student) -> Iterator[Path]:
    """Give a directory that belongs to the user."""
    path = student.home / "shared"
    path.mkdir()
    os.chown(path, ID, ID)
    yield path
    student("unshare", "rm", "-r", str(path))


def run(student: Student, word: str, *words: str) -> str:
    """Run a box with ``--userns WORD``; return its output, without what is said about copies on stderr."""
    done = student("run", "--rm", "--userns", word, *words)
    assert done.returncode == 0, done
    assert not [line for line in done.stderr.splitlines() if "layers are copied" not in line]
    return done.stdout.strip()


def start(student: Student, name: str, word: str, *words: str) -> int:
    """Start a box in the background, and return the pid of its PID 1 on the host."""
    done = student("run", "-d", "--name", name, "--userns", word, *words, "busybox", "sleep", "1000")
    assert done.returncode == 0, done
    return int(json.loads(student.says("inspect", name))[0]["State"]["Pid"])


def owners(path: Path) -> tuple[int, int]:
    """Return the owner of *path* on the host."""
    return path.lstat().st_uid, path.lstat().st_gid


@pytest.mark.parametrize("word", MAPS)
def test_the_map_from_both_sides(student: Student, store: Path, word: str) -> None:
    """Root of the host sees the user's number and those of /etc/subuid, and the box those of the home."""
    pid = start(student, "box", word)
    try:
        assert Path(f"/proc/{pid}/uid_map").read_text().split() == MAPS[word].split()
        seen = student.says("exec", "box", "cat", "/proc/self/uid_map").split()
        outer = [int(number) for number in MAPS[word].split()]
        inner = [_of_the_home(number) if place % 3 == 1 else number for place, number in enumerate(outer)]
        assert seen == list(map(str, outer if word == "host" else inner))  # a box without the option is in the home
        assert student.says("exec", "box", "id", "-u") == str(USERS.get(word, 0))
        assert student.says("inspect", "-f", "{{.HostConfig.UsernsMode}}", "box") == word
    finally:
        student("rm", "-f", "box")


def _of_the_home(number: int) -> int:
    return 0 if number == ID else number - FIRST + 1


def test_a_file_in_a_volume_belongs_to_the_user(student: Student, store: Path, shared: Path) -> None:
    """With keep-id its owner is the user, inside and outside; the controls are the other words."""
    script = f"touch /s/$0; {LOOK} /s /s/$0"
    volume = ("-v", f"{shared}:/s", "busybox", "sh", "-c", script)
    assert run(student, "keep-id", *volume, "keep").split() == [f"{ID}:{ID}"] * 2
    assert owners(shared / "keep") == (ID, ID)
    assert run(student, "keep-id:uid=7,gid=9", *volume, "seven").split() == ["7:9"] * 2
    assert owners(shared / "seven") == (ID, ID)
    assert run(student, "host", *volume, "host").split() == ["0:0"] * 2
    assert owners(shared / "host") == (ID, ID)
    for word in ("nomap", "auto"):
        done = student("run", "--rm", "--userns", word, *volume, "refused")
        assert done.stdout == "65534:65534\n"
        assert "/s/refused: Permission denied" in done.stderr
    shared.chmod(0o777)
    assert run(student, "nomap", *volume, "none").split() == ["65534:65534", "0:0"]
    assert owners(shared / "none") == (FIRST, FIRST)
    assert sorted(os.listdir(shared)) == ["host", "keep", "none", "seven"]


def test_a_named_volume_belongs_to_the_box_s_user(student: Student, store: Path) -> None:
    """A new volume can be written by the user of keep-id, as with podman; its owner outside is the user."""
    script = f"touch /w/file; {LOOK} /w /w/file"
    assert run(student, "keep-id", "-v", "kept:/w", "busybox", "sh", "-c", script).split() == [f"{ID}:{ID}"] * 2
    assert owners(store / "volumes/kept/_data/file") == (ID, ID)
    student.says("volume", "rm", "kept")
    for word, user in (("nomap", "0:0"), ("auto", "5:6")):
        assert run(student, word, "-u", user, "-v", "kept:/w", "busybox", "sh", "-c", script).split() == [user] * 2
        student.says("volume", "rm", "kept")
    done = student("run", "--rm", "--userns", "keep-id", "-v", "kept:/etc", "busybox", "touch", "/etc/file")
    assert "Permission denied" in done.stderr  # the control: /etc of the image, which is copied, is root's
    assert run(student, "keep-id", "-v", "kept:/w", "busybox", "stat", "-c", "%u", "/w/passwd") == "0"
    student.says("volume", "rm", "kept")


def test_files_of_the_image_belong_to_the_box_s_root(student: Student, store: Path) -> None:
    """They are a copy that belongs to another id on disk; the layer of all other boxes is as before."""
    before = {path: path.lstat() for path in (store / "layers").glob("*/fs/**/*")}
    place = next(path for path in before if path.name == "busybox")
    look = f"{LOOK} / /bin/busybox /etc/passwd /etc/hosts /root; touch /root/x 2>&1"
    for word in ("keep-id", "nomap", "auto"):
        user = USERS.get(word, 0)
        seen = run(student, word, "busybox", "sh", "-c", f"{look} || true").split("\n")
        assert seen[:5] == ["0:0"] * 5
        assert (len(seen) == 6) is (user != 0), seen  # root of the box may write there, and the user may not
        as_root = run(student, word, "-u", "0", "busybox", "sh", "-c", f"chown 5:6 /bin/busybox; {look}")
        assert as_root.split()[1] == "5:6"
    copies = [path for path in place.parents[2].glob("fs.*") if owners(path / "bin/busybox") == (FIRST, FIRST)]
    assert len(copies) >= 2
    assert place.read_bytes() == (copies[0] / "bin/busybox").read_bytes()
    assert {path: path.lstat() for path in before} == before
    assert owners(place) == (ID, ID)


def test_a_copied_layer_hides_what_the_layer_hides(student: Student, store: Path) -> None:
    """Replaced directories, deleted files, modes, times, links and set-user-ID bits are those of the other boxes."""
    make = (
        "mkdir /d; touch /d/old; echo s > /suid; chown 3:4 /suid; chmod 4755 /suid; ln /suid /hard; ln -s /suid /soft;"
        "mkfifo /fifo; mkdir -m 700 /dir; chown 7:8 /dir; touch -d 2020-01-01 /dir/t"
    )
    for name, parent, script in (
        ("lower", "busybox", make), ("upper", "lower", "rm -r /d; mkdir /d; touch /d/new; rm /soft")
    ):  # fmt: skip
        student.says("run", "--name", name, parent, "sh", "-c", script)
        assert student("commit", name, name).returncode == 0
    look = 'ls /d; ls /soft 2>&1; stat -c "%n %u:%g %a %h %s %F %Y" /suid /hard /fifo /dir /dir/t'
    seen = {word: run(student, word, "-u", "0", "upper", "sh", "-c", look) for word in ("host", "keep-id", "nomap")}
    assert len({*seen.values()}) == 1, seen
    assert seen["host"].splitlines()[:2] == ["new", "ls: /soft: No such file or directory"]
    assert "/hard 3:4 4755 2 2 regular file" in seen["nomap"]
    assert student("rm", "lower", "upper").returncode == 0
    assert student("rmi", "upper", "lower").returncode == 0


def test_the_user_has_a_name_in_the_box(student: Student, store: Path) -> None:
    """keep-id adds a line to /etc/passwd and /etc/group, as podman does, and the user of the image stays."""
    look, name = ("busybox", "sh", "-c", "id; tail -n 1 /etc/passwd /etc/group; echo $HOME"), NAME
    seen = run(student, "keep-id", *look)
    assert f"uid={ID}({name}) gid={ID}({name})" in seen
    assert f"{name}:*:{ID}:{ID}::/:/bin/sh" in seen
    assert seen.endswith("\n/")
    assert f"groups={ID}({name}),5(tty)" in run(student, "keep-id", "-u", "5:5", *look)
    assert name not in run(student, "nomap", *look)
    assert run(student, "keep-id:uid=1,gid=1", "busybox", "id", "-un") == "daemon"  # the image has a name for it


def test_copies_out_of_a_box_have_the_owners_of_inside(student: Student, store: Path) -> None:
    """Diff, cp, export and commit of such a box, running or not, show 3:4 and 0:0, and new boxes of any kind, too."""
    make = "umask 0; mkdir /new; touch /new/file; chown 3:4 /new/file; rm /bin/false; touch /root/file"
    for word in ("keep-id", "nomap", "auto"):
        start(student, "box", word)
        student.says("exec", "-u", "0", "box", "sh", "-c", make)
        _check_copies(student)
        assert student("stop", "-t", "0", "box").returncode == 0
        _check_copies(student)
        assert student("start", "box").returncode == 0
        look = ("stat", "-c", "%u:%g", "/new/file", "/into")
        assert student.says("exec", "-u", "0", "box", *look).split() == ["3:4", "0:0"]
        student.says("rm", "-f", "box")


def _check_copies(student: Student) -> None:
    changes = set(student.says("diff", "box").splitlines())
    assert {"A /new/file", "D /bin/false", "A /root/file"} <= changes
    assert not changes & {"C /bin/busybox", "A /etc/hosts", "C /dev", "A /.dockerenv"}
    archive = student.home / "copied.tar"
    student("export", "-o", str(archive), "box")
    with tarfile.open(archive) as members:
        found = {name: members.getmember(name) for name in ("new/file", "root/file", "bin/busybox")}
    assert [(each.uid, each.gid) for each in found.values()] == [(3, 4), (0, 0), (0, 0)]
    assert student("cp", str(archive), "box:/into").returncode == 0
    done = student("commit", "box", "committed")
    assert done.returncode == 0, done
    for word in ("host", "nomap"):
        look = "stat -c %u:%g /new/file /root/file; ls /bin/false 2>&1"
        seen = student("run", "--rm", "-u", "0", "--userns", word, "committed", "sh", "-c", look).stdout
        assert seen.split()[:2] == ["3:4", "0:0"]
        assert "No such file" in seen
    assert student("rmi", "committed").returncode == 0
    archive.unlink()


def test_copies_of_layers_are_made_once_and_removed(student: Student, store: Path) -> None:
    """The first box of a map says so in a line; `system df` counts the copy; prune removes it, or rmi its image."""

    def copies() -> list[Path]:
        return sorted((store / "layers").glob("*/fs.*"))

    def used() -> list[str]:
        return student.says("system", "df", "--format", "{{.Size}}").splitlines()[:1]

    student.says("image", "prune", "-f")
    assert copies() == []
    empty, lines = used(), []
    for _ in range(2):
        done = student("run", "--rm", "--userns", "keep-id", "busybox", "true")
        lines.append(done.stderr.count("busybox: its layers are copied"))
    assert (lines, len(copies())) == ([1, 0], 1)
    assert used() != empty
    start(student, "box", "nomap")
    assert len(copies()) == 2
    student.says("image", "prune", "-f")
    assert len(copies()) == 1  # that of the box is kept
    assert student.says("exec", "box", "stat", "-c", "%u", "/bin/busybox") == "0"
    assert student("tag", "busybox", "other:1").returncode == 0
    student.says("rm", "-f", "box")
    assert student("run", "--name", "made", "busybox", "touch", "/file").returncode == 0
    assert student("commit", "made", "layered").returncode == 0
    student.says("rm", "made")
    assert run(student, "nomap", "layered", "stat", "-c", "%u", "/file", "/bin/busybox").split() == ["0", "0"]
    assert len(copies()) == 2
    assert student("rmi", "layered", "other:1").returncode == 0
    assert len(copies()) == 1  # that of the layer which busybox has, too
    student.says("image", "prune", "-f")
    assert used() == empty


def test_boxes_with_auto_share_no_id(student: Student, store: Path) -> None:
    """Each has ids of its own, also at rest, until it is removed; another box may join them; too many are refused."""
    first = start(student, "one", "auto")
    other = start(student, "two", "auto:size=2000")
    assert Path(f"/proc/{first}/uid_map").read_text().split() == ["0", str(FIRST), "1024"]
    assert Path(f"/proc/{other}/uid_map").read_text().split() == ["0", str(FIRST + 1024), "2000"]
    student.says("stop", "-t", "0", "one")
    third = start(student, "three", "auto")
    assert Path(f"/proc/{third}/uid_map").read_text().split() == ["0", str(FIRST + 3024), "1024"]
    student("start", "one")
    assert student.says("exec", "one", "cat", "/proc/self/uid_map").split() == ["0", "1", "1024"]
    joined = start(student, "joined", "container:two")
    assert os.readlink(f"/proc/{joined}/ns/user") == os.readlink(f"/proc/{other}/ns/user")
    assert student.says("exec", "joined", "stat", "-c", "%u", "/bin/busybox") == "0"
    student.says("rm", "-f", "two")
    one_line(student("run", "--userns", "auto:size=65000", "busybox", "true"), 125, "no 65000 ids are free")
    fourth = start(student, "four", "auto:size=2000")  # two's ids are still those of joined
    assert Path(f"/proc/{fourth}/uid_map").read_text().split()[1] == str(FIRST + 4048)
    student.says("rm", "-f", "one", "joined", "three", "four")
    assert run(student, "auto:size=65000", "busybox", "cat", "/proc/self/uid_map").split() == ["0", "1", "65000"]


def test_a_file_without_an_id_in_the_box(student: Student, store: Path) -> None:
    """An image with a file of an id that the box does not have is refused in one line; with more ids it runs."""
    student("run", "--name", "made", "busybox", "sh", "-c", "touch /file; chown 4000 /file")
    assert student("commit", "made", "large").returncode == 0
    student.says("rm", "made")
    done = student("run", "--rm", "--userns", "auto", "large", "true")
    cause, cure = "belongs to an id that the box does not have", "--userns auto:size=N with more ids, or keep-id"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (125, f"tinybox: file file: {cause} ({cure})")
    assert run(student, "auto:size=4001", "large", "stat", "-c", "%u", "/file") == "4000"
    assert student("rmi", "large").returncode == 0


def test_a_command_killed_at_any_moment_leaves_nothing(student: Student, store: Path) -> None:
    """Killed while it copies layers, chooses ids or makes its box: the next box has the first ids and all files."""
    for number in range(16):
        student.says("image", "prune", "-f")
        process = student.start("run", "--rm", "--userns", "auto", "busybox", "sleep", "1000")
        time.sleep(0.04 * number)
        process.kill()
        process.communicate()
    look = "cat /proc/self/uid_map; stat -c %u /bin/busybox; ls /bin | wc -l"
    seen = run(student, "auto", "busybox", "sh", "-c", look)
    whole = student.says("run", "--rm", "busybox", "sh", "-c", "ls /bin | wc -l")
    assert seen.split() == ["0", "1", "1024", "0", whole]
    assert until(lambda: not student.processes(), time.monotonic() + PATIENCE, 0.01)
    found = {row["fact"]: row for row in json.loads(student.says("doctor", "--json"))}
    assert found["leftovers"]["found"] == "none"


def test_ids_of_a_command_that_was_killed_are_given_again(student: Student, store: Path) -> None:
    """A link to a box that was never made is removed by the next box with auto, and by `doctor --fix`."""
    run(student, "auto", "busybox", "true")  # so that there is a directory for the links
    left = str(store / "ids/1-1024")
    for ending in (("run", "--rm", "--userns", "auto", "busybox", "cat", "/proc/self/uid_map"), ("doctor", "--fix")):
        student.says("unshare", "ln", "-s", str(store / "containers" / ("0" * 64)), left)
        assert "ids of the home without a container" in student("doctor").stdout
        assert student(*ending).stdout.split()[:3] == ["0", "1", "1024"] or ending[0] == "doctor"
        assert not os.path.lexists(left)


REFUSED = [
    ("keep-id:size=9", "unknown option specified: 'size'"),
    ("keep-id:uid=x", "uid=x is no whole number"),
    ("nomap:uid=1", "unknown option specified: 'uid'"),
    ("auto:size=0", "size=0 is no size of a box"),
    ("auto:size=70000", "size=70000 is no size of a box"),
    ("auto:uidmapping=1:2", "'1:2' is no mapping"),
    ("keep", "is not a mode of this namespace (private, host, container:NAME, auto, keep-id or nomap)"),
]


def test_wrong_values_are_one_line(student: Student, store: Path, tinybox: Command) -> None:
    """Without root and as root; as root keep-id and nomap have podman's sentence, and auto is a range of the host."""
    for word, cause in REFUSED:
        one_line(student("run", "--userns", word, "busybox", "true"), 125, cause)
        one_line(tinybox("run", "--userns", word, "busybox", "true"), 125, cause)
    for word in ("keep-id", "nomap", "keep-id:uid=5"):
        cause = f"{word.partition(':')[0]} is only supported in rootless mode"
        one_line(tinybox("create", "--userns", word, "busybox", "true"), 125, cause)
    one_line(tinybox("run", "--userns", "auto:uidmapping=0:1:1", "busybox", "true"), 125, "leave out uidmapping=")
    done = tinybox("run", "--rm", "--userns", "auto:size=900", "busybox", "cat", "/proc/self/uid_map")
    inside, outside, size = map(int, done.stdout.split())
    assert (inside, size, outside >= allotment.FIRST) == (0, 900, True)
    assert not student.processes()


def test_without_ranges_there_is_no_second_namespace(student: Student, store: Path) -> None:
    """A user without a line in /etc/subuid gets one line with the cure; the control: `host` works."""
    for word in ("keep-id", "nomap", "auto"):
        done = student("run", "--rm", "--userns", word, "busybox", "true", tables={"subuid": ""})
        cause = f"tinybox: --userns {word}: the boxes of this user have no other id than 0"
        assert (done.returncode, done.stderr.splitlines()[-1].startswith(cause)) == (125, True)
    assert student("run", "--rm", "busybox", "true", tables={"subuid": ""}).returncode == 0


def test_the_plan_and_compose(student: Student, store: Path) -> None:
    """--dry-run and --explain show the map; `userns_mode` of a compose file means the same."""
    told = f"user's home: 0 1 {ID}, {ID} 0 1, {ID + 1} {ID + 1} {COUNT - ID}"
    assert told in student.says("run", "--dry-run", "--userns", "keep-id", "busybox", "true")
    assert " id-maps " not in student.says("run", "--dry-run", "busybox", "true")
    shown = student("run", "--rm", "--explain", "--userns", "keep-id", "busybox", "true").stderr
    assert f'"0 1 {ID}\\n{ID} 0 1\\n{ID + 1} {ID + 1} {COUNT - ID}\\n"' in shown.replace("\n             ", "")
    file = student.home / "compose.yaml"
    keys = ("image: busybox", "userns_mode: keep-id", "network_mode: none", "command: id -u")
    file.write_text("services:\n  one:\n" + "".join(f"    {key}\n" for key in keys))
    done = student("compose", "-f", str(file), "-p", "project", "up", "--no-log-prefix")
    assert done.stdout.split()[-1] == str(ID), done
    assert student("compose", "-f", str(file), "-p", "project", "down").returncode == 0
    file.unlink()
