"""`tinybox commit`: all changes of a box are in the new image, and the next box begins with them."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.boxes import kept, new_name, one_line, output, pid_of, until
from tests.support.tar_contents import stream, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

EVERY_KIND = """
echo new > /new; mkdir -p /deep/er; echo x > '/deep/er/a b'; ln /new /hard; ln -s /nowhere /link; mkfifo /fifo
rm /etc/group; rm -r /usr/bin; mkdir /usr/bin; echo y > /usr/bin/only; rm -r /home; echo file > /home
rm /etc/passwd; mkdir /etc/passwd; mv /root /root2; echo more >> /etc/hosts.new; chmod 1777 /deep; chmod 4711 /new
chown 12:34 /new /fifo; chown -h 5:6 /link; chown 65534:65534 /deep/er; mkdir /empty; chmod 0 /empty
printf '#!/bin/sh\\n' > /odd$(printf '\\377'); touch -d @1000000000 /deep/er
"""


@contextmanager
def ended(tinybox: Command, script: str, *options: str, image: str) -> Iterator[str]:
    """Give the name of a box at rest in which *script* has run."""
    name = new_name()
    done = tinybox("run", "--name", name, *options, image, "sh", "-c", script)
    assert (done.returncode, done.stderr) == (0, ""), done
    try:
        yield name
    finally:
        assert tinybox("rm", "-v", name).returncode == 0


@contextmanager
def committed(tinybox: Command, *words: str) -> Iterator[str]:
    """Commit with the arguments *words*, give the new image's id, and remove the image at the end."""
    done = tinybox("commit", *words)
    assert done.returncode == 0, done
    image = done.stdout.strip().removeprefix("sha256:")
    assert len(image) == 64
    try:
        yield image
    finally:
        assert tinybox("rmi", image).returncode == 0


def record(tinybox: Command, image: str) -> dict[str, Any]:
    """Return the OCI record of an image."""
    document: dict[str, Any] = json.loads(Path(tinybox.root, "images", image).read_text())
    return document


def image_of(tinybox: Command, name: str) -> str:
    """Return the id of the image called *name*."""
    short = tinybox("images", "-q", name).stdout.strip()
    return next(path.name for path in Path(tinybox.root, "images").iterdir() if path.name.startswith(short))


@pytest.mark.parametrize("image", ["busybox", "alpine"])
@pytest.mark.parametrize("users", ["host", "private"])
def test_every_kind_of_change_comes_back(tinybox: Command, image: str, users: str) -> None:
    """The tree of a fresh box of the new image equals the committed box's, with every kind of change; diff is empty."""
    options = ("--userns", users)
    with ended(tinybox, EVERY_KIND, *options, image=image) as name:
        before = told(stream(tinybox, "export", name))
        with ended(tinybox, "true", *options, image=image) as other:
            assert told(stream(tinybox, "export", other)) != before  # the control: there are changes
        with committed(tinybox, name, "kept:1"), ended(tinybox, ":", *options, image="kept:1") as fresh:
            assert told(stream(tinybox, "export", fresh)) == before
            assert tinybox("diff", fresh).stdout == ""
    assert {"new", "usr/bin/only", "root2"} <= set(before)
    assert before["new"][:1] + before["new"][3:4] == (tarfile.LNKTYPE, "hard")


@pytest.fixture
def program() -> Iterator[Path]:
    """Give a program with attributes; not in /tmp, which may be a tmpfs without attributes."""
    with tempfile.TemporaryDirectory(prefix="tinybox-test-", dir="/var/tmp") as folder:
        path = Path(folder, "prog")
        path.write_text("#!/bin/sh\n")
        yield path


def test_attributes_and_capabilities_come_back(tinybox: Command, program: Path) -> None:
    """A program's file capabilities and user attributes are in the new layer; overlayfs's own attributes are not."""
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(program, "security.capability", capability)
    os.setxattr(program, "user.note", b"\x00\xff")
    with ended(tinybox, "rm -r /home; mkdir /home", image="busybox") as name:
        assert tinybox("cp", "-a", str(program), f"{name}:/prog").returncode == 0
        with committed(tinybox, name) as image:
            layer = record(tinybox, image)["rootfs"]["diff_ids"][-1]
            files = Path(tinybox.root, "layers", layer.removeprefix("sha256:")[:16], "fs")
            assert os.getxattr(files / "prog", "security.capability") == capability
            assert os.getxattr(files / "prog", "user.note") == b"\x00\xff"
            assert sorted(os.listxattr(files / "home")) == ["trusted.overlay.opaque", "user.overlay.opaque"]
            assert not [name for path in files.rglob("*") for name in os.listxattr(path, follow_symlinks=False)
                        if "overlay" in name and not name.endswith(".opaque")]  # fmt: skip


def test_files_that_an_image_cannot_hold_are_named(tinybox: Command) -> None:
    """Devices are left out with a warning, and so is a name that would hide another file in the layers below."""
    script = "mknod /dev2 c 1 3; echo x > /etc/.wh.passwd; echo kept > /kept"
    with ended(tinybox, script, image="busybox") as name:
        done = tinybox("commit", name, "partly")
        try:
            lines = sorted(line.split(":")[1] for line in done.stderr.splitlines())
            assert (done.returncode, lines) == (0, [" dev2", " etc/.wh.passwd"])
            found = output(tinybox, "partly", "sh", "-c", "cat /kept /etc/passwd; test -e /dev2 || echo no device")
            assert found == f"kept\n{output(tinybox, 'busybox', 'cat', '/etc/passwd')}no device\n"
        finally:
            assert tinybox("rmi", "partly").returncode == 0


def test_the_instructions_of_a_dockerfile(tinybox: Command) -> None:
    """--change, --author and --message are in the record, the rest does not change, and a box runs accordingly."""
    script = "echo $A:$B; pwd; id -u; grep -c ' /vol ' /proc/mounts"
    changes = (
        f'CMD ["sh", "-c", "{script}"]', 'ENV A=1 B="two words"', "WORKDIR /w", "USER 7", "EXPOSE 80 53/udp",
        "LABEL a=b", "VOLUME /vol", 'ENTRYPOINT ["env"]', "STOPSIGNAL INT",
    )  # fmt: skip
    words = [word for change in changes for word in ("-c", change)]
    with ended(tinybox, "mkdir -m 777 /w; :", image="busybox") as name:
        with committed(tinybox, "-a", "An Author", "-m", "why", *words, name, "changed") as image:
            document = record(tinybox, image)
            assert output(tinybox, "changed").split("\n") == ["1:two words", "/w", "7", "1", ""]
        for wrong in ("FROM x", "CMD", "EXPOSE no", "VOLUME rel", "ENV X", "STOPSIGNAL NO"):
            one_line(tinybox("commit", "-c", wrong, name), 1, wrong.split()[0])
        one_line(tinybox("commit", name, "Not A Name"), 1, "image")
    one_line(tinybox("commit", "none"), 1, "no such container")
    config = document["config"]
    assert (document["author"], document["history"][-1]["comment"]) == ("An Author", "why")
    assert config["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert (config["User"], config["Labels"], config["StopSignal"]) == ("7", {"a": "b"}, "INT")
    assert any(str(line).startswith("PATH=") for line in config["Env"])


def test_an_image_runs_as_its_container_did(tinybox: Command) -> None:
    """Program, variables, user, directory and labels of the command line are the image's, unless given again."""
    words = ["-e", "A=1", "-e", "HOME=/h", "-w", "/tmp", "-u", "7:8", "-l", "a=b", "--entrypoint", "sh", "busybox"]
    name = new_name()
    done = tinybox("create", "-t", "--name", name, *words, "-c", "echo $A $HOME $(pwd) $(id -u):$(id -g)")
    assert done.returncode == 0, done
    try:
        with committed(tinybox, name, "as-it-was") as image:
            config = record(tinybox, image)["config"]
            assert output(tinybox, "as-it-was") == "1 /h /tmp 7:8\n"
        with committed(tinybox, "-c", 'ENTRYPOINT ["id"]', "-c", "USER 0", name, "another") as image:
            assert output(tinybox, "another").startswith("uid=0")  # the shell's arguments went together with the shell
    finally:
        assert tinybox("rm", name).returncode == 0
    assert {line.partition("=")[0] for line in config["Env"]} == {"PATH", "A", "HOME"}
    assert (config["User"], config["WorkingDir"], config["Labels"]) == ("7:8", "/tmp", {"a": "b"})
    assert (config["Entrypoint"], config["Cmd"][0]) == (["sh"], "-c")


def test_a_box_that_changed_nothing_adds_no_layer(tinybox: Command) -> None:
    """Overlayfs would refuse the same empty layer twice: an unchanged box adds only a record, and the image runs."""
    with (
        ended(tinybox, "echo 1 > /one", image="busybox") as name,
        committed(tinybox, name, "a:1") as first,
        ended(tinybox, "true", image="a:1") as other,
        committed(tinybox, other, "a:2") as second,
    ):
        assert record(tinybox, first)["rootfs"] == record(tinybox, second)["rootfs"]
        assert output(tinybox, "a:2", "cat", "/one") == "1\n"


def test_files_made_for_mounts_are_no_change(tinybox: Command) -> None:
    """The image has no /etc/hosts, so the box gets an empty file as mount point: the new layer omits only that file."""
    ours = ("hosts", "hostname", "resolv.conf")
    with ended(tinybox, "true", image="busybox") as name:
        upper = Path(tinybox.root, "containers", os.readlink(Path(tinybox.root, "container-names", name)), "upper")
        assert set(ours) <= {path.name for path in (upper / "etc").iterdir()}  # the control: there is a file to omit
        with committed(tinybox, name, "same:1") as image:
            fresh, base = (record(tinybox, word) for word in (image, image_of(tinybox, "busybox")))
            assert fresh["rootfs"] == base["rootfs"]
    with ended(tinybox, "echo x > /etc/more; chmod 700 /etc", image="busybox") as name:
        with committed(tinybox, name, "more:1") as image:
            layer = record(tinybox, image)["rootfs"]["diff_ids"][-1].removeprefix("sha256:")
            files = Path(tinybox.root, "layers", layer[:16], "fs", "etc")
            assert [path.name for path in files.iterdir()] == ["more"]
            assert files.stat().st_mode & 0o777 == 0o700
        assert tinybox("diff", name).stdout == "C /etc\nA /etc/more\n"


@pytest.mark.parametrize("pause", [True, False])
def test_a_running_box_is_frozen_while_it_is_read(tinybox: Command, pause: bool) -> None:
    """By default no process of it runs during the commit, and they go on afterwards; --pause=false does not freeze."""
    name = new_name()
    events = Path(tinybox.root, "events.log")
    script = "echo kept > /kept; echo READY; while :; do echo x >> /grows; done"
    with kept(tinybox, "--rm", "--name", name, "busybox", "sh", "-c", script):
        before = len(events.read_text())
        with committed(tinybox, *(() if pause else ("--pause=false",)), name, "moving"):
            actions = [json.loads(line)["Action"] for line in events.read_text()[before:].splitlines()]
            assert output(tinybox, "moving", "cat", "/kept") == "kept\n"
        size = len(stream(tinybox, "cp", f"{name}:/grows", "-"))
        until(lambda: len(stream(tinybox, "cp", f"{name}:/grows", "-")) > size)  # it runs again
    assert [action for action in actions if "pause" in action] == (["pause", "unpause"] if pause else [])


def test_volumes_are_no_part_of_it(tinybox: Command, tmp_path: Path) -> None:
    """Files that a box wrote to a volume stay there, and are not in the image."""
    options = ("-v", f"{tmp_path}:/v")
    with (
        ended(tinybox, "echo x > /v/f; echo y > /f", *options, image="busybox") as name,
        committed(tinybox, name, "without"),
    ):
        assert output(tinybox, "without", "sh", "-c", "cat /f; ls /v") == "y\n"


def test_overlay_attributes_of_the_box_hide_nothing(tinybox: Command) -> None:
    """A box sets user.overlay.opaque on its /etc: that is a change of /etc, and no file below it is missing."""
    script = "mkdir -p /etc; echo mine > /etc/mine; echo READY; exec sleep 1000"
    name = new_name()
    with kept(tinybox, "--rm", "--name", name, "busybox", "sh", "-c", script):
        etc = Path(f"/proc/{pid_of(tinybox, name)}/root/etc")
        os.setxattr(etc, "user.overlay.opaque", b"y")  # by its own mount, as a program in the box would
        (upper,) = Path(tinybox.root, "containers").glob("*/upper/etc")
        assert os.getxattr(upper, "user.overlay.opaque") == b"y"  # the control: the file is there
        assert tinybox("diff", name).stdout == "C /etc\nA /etc/mine\n"
        with committed(tinybox, name, "marked") as image:
            assert "passwd" in output(tinybox, image, "ls", "/etc")


def test_a_box_in_another_one_s_user_namespace(tinybox: Command) -> None:
    """Its overlay has the other box's kind of attributes: removed files are removed in diff, export and commit."""
    first = new_name()
    with kept(tinybox, "--rm", "--name", first, "--userns", "private", "busybox", "sh", "-c", "echo READY; sleep 1000"):
        words = ("--userns", f"container:{first}")
        with ended(tinybox, "rm -r /usr/bin; mkdir /usr/bin", *words, image="busybox") as name:
            (upper,) = Path(tinybox.root, "containers").glob("*/upper/usr/bin")
            assert os.getxattr(upper, "user.overlay.opaque") == b"y"  # the control: there are files to remove
            assert "D /usr/bin/env\n" in tinybox("diff", name).stdout
            assert "usr/bin/env" not in told(stream(tinybox, "export", name))
            with committed(tinybox, name, "emptied") as image:
                assert output(tinybox, image, "ls", "/usr/bin") == ""
