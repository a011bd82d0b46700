"""The program's user, groups, environment and command, and how the config.json records them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support import image_archives as tar
from tests.support.boxes import facts, new_name, one_line, output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

USERS = "root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n"
GROUP = "root:x:0:\nana:x:1000:\nbob:x:1001:\nstaff:x:50:ana,bob\nplay:x:60:ana\nwheel:x:10:root\n"


@pytest.fixture(scope="module")
def people(store_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Import an image with users and groups in it; return its name."""
    with open("/bin/busybox", "rb") as file:
        busybox = file.read()
    members = [
        tar.directory("bin"), tar.regular("bin/busybox", busybox, mode=0o755), tar.symlink("bin/sh", "busybox"),
        *[tar.symlink(f"bin/{name}", "busybox") for name in ("id", "cat", "stat", "ls", "env", "readlink", "true")],
        tar.directory("etc"), tar.regular("etc/passwd", USERS.encode()), tar.regular("etc/group", GROUP.encode()),
        tar.directory("home"), tar.directory("home/ana", uid=1000, gid=1000), tar.directory("proc"),
        tar.directory("sys"), tar.directory("dev"), tar.directory("tmp", mode=0o1777),
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("image") / "people.tar"
    path.write_bytes(tar.archive(members))
    command, name = Command(store_root), "test-people"
    done = command("import", str(path), name)
    assert done.returncode == 0, done.stderr
    yield name
    assert command("rmi", name).returncode == 0


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("ana", "1000 1000 50 60 1000"),
        ("1000", "1000 1000 50 60 1000"),
        ("bob:play", "1001 60 60"),
        ("ana:7", "1000 7 7"),
        ("4000:50", "4000 50 50"),
        ("4000", "4000 0 0"),
        ("0", "0 0 0 10"),
        ("root:0", "0 0 0"),
    ],
)
def test_users_and_groups_are_those_of_the_image(tinybox: Command, people: str, user: str, shown: str) -> None:
    """Names and numbers are looked up in the image's files; without an explicit group there are more groups.

    Shown are user, group, and all supplementary groups, of which the group is one.
    """
    look = "id -u; id -g; while read -r key rest; do [ $key = Groups: ] && echo $rest; done < /proc/self/status"
    assert output(tinybox, "-u", user, people, "sh", "-c", f"{look}; true").split() == shown.split()


def test_groups_are_added_to_those_of_the_user(tinybox: Command, people: str) -> None:
    """By name or number, also if ``--user`` names the group."""
    added = ("--group-add", "wheel", "--group-add", "77")
    assert set(output(tinybox, *added, "-u", "ana", people, "id", "-G").split()) == {"1000", "50", "60", "10", "77"}
    assert set(output(tinybox, *added, "-u", "ana:7", people, "id", "-G").split()) == {"7", "10", "77"}
    one_line(tinybox("run", "--rm", "--group-add", "nobodys", people, "id"), 125, "--group-add nobodys: no group")


def test_a_user_s_files_belong_to_that_user(tinybox: Command, people: str) -> None:
    """New files belong to the user; files of root it cannot write; HOME comes from passwd."""
    shown = facts(
        tinybox, "-u", "ana", image=people, home="echo $HOME", own="> ~/x; stat -c %u:%g ~/x", root="> /etc/x"
    )
    assert (shown["home"], shown["own"]) == ("/home/ana", "1000:1000")
    assert "Permission denied" in shown["root"]
    assert facts(tinybox, image=people, home="echo $HOME", root="> /etc/x") == {"home": "/root", "root": ""}


def test_a_user_has_no_capabilities_but_may_get_them_back(tinybox: Command) -> None:
    """A user other than root has empty sets, PID 1 as well, and the default bounding set for set-user-ID programs."""
    look = "grep -hE '^Cap(Eff|Prm|Bnd)' /proc/self/status /proc/1/status"
    rows = [line.split() for line in facts(tinybox, "-u", "1000", it=look)["it"].splitlines()]
    assert {(name, value) for name, value in rows} == {
        ("CapEff:", "0" * 16), ("CapPrm:", "0" * 16), ("CapBnd:", "00000000a80425fb"),
    }  # fmt: skip


@pytest.mark.parametrize("user", ["carl", "ana:nobodys", "-1", "1000:-1", "99999999999"])
def test_unknown_users(tinybox: Command, people: str, user: str) -> None:
    """An unknown user or group, or an invalid number, is one line that names the option's value."""
    one_line(tinybox("run", "--rm", "-u", user, people, "id"), 125, f"--user {user}")


def test_the_environment_is_the_requested_one(tinybox: Command, tmp_path: Path) -> None:
    """The image's variables, then --env-file, then --env; a bare name passes on the caller's value; no others."""
    tinybox.environment |= {"OURS": "passed on", "NOT_ASKED_FOR": "stays"}
    (tmp_path / "file").write_text("# comment\nFROM_FILE=1\nBOTH=file\nOURS\n")
    words = [word for said in ("BOTH=word", "EMPTY=", "SPACE=a b=c", "MISSING") for word in ("-e", said)]
    words += ["--env-file", str(tmp_path / "file"), "-h", "box"]
    lines = output(tinybox, *words, "busybox", "env").splitlines()
    found = dict(line.split("=", 1) for line in lines)
    for name in ("SHLVL", "PWD"):
        found.pop(name, None)
    assert found == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": "box", "HOME": "/root",
        "FROM_FILE": "1", "BOTH": "word", "OURS": "passed on", "EMPTY": "", "SPACE": "a b=c",
    }  # fmt: skip


def test_the_entrypoint_goes_before_the_command(tinybox: Command) -> None:
    """--entrypoint replaces the program, and the arguments after the image are its arguments, options or not."""
    assert output(tinybox, "--entrypoint", "echo", "busybox", "-n", "--rm", "a b") == "--rm a b"
    assert output(tinybox, "busybox", "echo", "--name", "x") == "--name x\n"


def test_an_empty_entrypoint_removes_the_image_s(tinybox: Command) -> None:
    """--entrypoint '' leaves only the arguments after the image; inspect shows entrypoint and command separately."""
    name = new_name()
    assert tinybox("create", "--name", name, "busybox", "true").returncode == 0
    change = 'ENTRYPOINT ["echo", "point"]'
    assert tinybox("commit", "-c", change, "-c", 'CMD ["command"]', name, "test-entrypoint").returncode == 0
    try:
        assert output(tinybox, "test-entrypoint") == "point command\n"
        assert output(tinybox, "--entrypoint", "", "test-entrypoint", "echo", "alone") == "alone\n"
        one_line(tinybox("run", "--entrypoint=", "test-entrypoint"), 125, "names no command to run")
        for words, shown in ((), '["echo","point"] ["command"]'), (("sh",), '["echo","point"] ["sh"]'):
            assert tinybox("rm", name).returncode == 0
            assert tinybox("create", "--name", name, "test-entrypoint", *words).returncode == 0
            form = "{{json .Config.Entrypoint}} {{json .Config.Cmd}}"
            assert tinybox("inspect", "-f", form, name).stdout == f"{shown}\n"
    finally:
        assert tinybox("rm", name).returncode == 0
        assert tinybox("rmi", "test-entrypoint").returncode == 0


def test_the_image_s_command_is_run_when_there_is_no_other(tinybox: Command) -> None:
    """`tinybox run busybox` runs the image's own command, a shell; with an empty input it ends at once."""
    assert tinybox("run", "--rm", "-i", "busybox", text="echo from the shell\n").stdout == "from the shell\n"


def test_labels_and_image_are_in_the_config(tinybox: Command, tmp_path: Path) -> None:
    """--label, the image and the name are annotations of the config.json."""
    words = ("-l", "a=1", "--label", "b=x=y", "--label", "c", "--name", new_name(), "--bundle", str(tmp_path / "b"))
    assert tinybox("run", *words, "busybox", "true").returncode == 0
    found = json.loads((tmp_path / "b" / "config.json").read_text())["annotations"]
    labels = {key.removeprefix("tinybox.label."): value for key, value in found.items() if "label" in key}
    assert labels == {"a": "1", "b": "x=y", "c": ""}
    assert found["tinybox.image-name"] == "busybox"
