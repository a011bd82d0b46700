"""Volumes: they outlive boxes, begin with the image's files of that path, and are removed only on request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import kept, new_name, one_line, output
from tests.support.tar_contents import stream, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

HEX = frozenset("0123456789abcdef")


@pytest.fixture(autouse=True)
def leaves_no_volume(tinybox: Command) -> Iterator[None]:
    """Remove the volumes that a test has left, so that the next test begins with none."""
    yield
    assert tinybox("volume", "prune", "-a", "-f").returncode == 0
    assert names(tinybox) == []


def names(tinybox: Command, *words: str) -> list[str]:
    """Return the names that ``volume ls`` lists."""
    done = tinybox("volume", "ls", "-q", *words)
    assert done.returncode == 0, done
    return done.stdout.split()


def test_volumes_are_made_listed_shown_and_removed(tinybox: Command) -> None:
    """create, ls, inspect and rm with docker's options; creating an existing name is fine, an invalid name is not."""
    assert tinybox("volume", "create", "--label", "a=b", "one").stdout == "one\n"
    assert tinybox("volume", "create", "one").stdout == "one\n"
    made_up = tinybox("volume", "create").stdout.strip()
    assert len(made_up) == 64
    assert set(made_up) <= HEX
    assert names(tinybox) == sorted([made_up, "one"])
    assert names(tinybox, "-f", "label=a=b") == names(tinybox, "-f", "name=on") == ["one"]
    assert names(tinybox, "-f", "label=a=c") == names(tinybox, "-f", "dangling=false") == []
    assert tinybox("volume", "ls").stdout.splitlines()[0].split() == ["DRIVER", "VOLUME", "NAME"]
    row = json.loads(tinybox("volume", "ls", "-f", "name=one", "--format", "json").stdout)
    (shown,) = json.loads(tinybox("volume", "inspect", "one").stdout)
    assert row["Mountpoint"] == shown["Mountpoint"] == f"{tinybox.root}/volumes/one/_data"
    assert (shown["Labels"], shown["Driver"], shown["Name"]) == ({"a": "b"}, "local", "one")
    assert tinybox("volume", "inspect", "-f", "{{.Name}} {{.Labels.a}}", "one").stdout == "one b\n"
    done = tinybox("volume", "rm", "one", "none", made_up)
    assert (done.returncode, done.stdout.split(), len(done.stderr.splitlines())) == (1, ["one", made_up], 1)
    assert tinybox("volume", "rm", "-f", "none").returncode == 0
    one_line(tinybox("volume", "inspect", "-f", "x", "none"), 1, "no such volume")
    one_line(tinybox("volume", "create", "-d", "nfs", "x"), 1, "driver")
    for wrong in ("x", "../up", ".hidden", "a b"):
        one_line(tinybox("volume", "create", wrong), 1, "not allowed")


@pytest.mark.parametrize("image", ["busybox", "alpine"])
@pytest.mark.parametrize("users", ["host", "private"])
def test_an_empty_volume_begins_with_the_image_s_files(tinybox: Command, image: str, users: str) -> None:
    """Named or not: files, owners, modes, links, the directory's own mode; later changes stay; nocopy: nothing."""
    listing = (  # all but the three files that each box has for itself, and the mtime of directories that tinybox made
        "cd /etc; stat -c '%a %u %g' .; find . ! -name . ! -name 'host*' ! -name resolv.conf | sort |"
        " while read f; do ls -lnd $f | sed 's/^\\(.\\{10\\}\\) *[0-9]* /\\1 /'; done; id -u"
    )
    plain = output(tinybox, "--userns", users, image, "sh", "-c", listing)
    for volume in ("named:/etc", "/etc"):
        assert output(tinybox, "--userns", users, "-v", volume, image, "sh", "-c", listing) == plain, volume
    assert len(plain.splitlines()) > 3
    output(tinybox, "--userns", users, "-v", "named:/etc", image, "sh", "-c", "rm /etc/passwd; echo mine > /etc/own")
    there = output(
        tinybox, "-v", "named:/v", "busybox", "sh", "-c", "ls /v; ls -ln /v/own | cut -c1-10; ls -lnd /v/own"
    )
    assert "own" in there
    assert "passwd\n" not in there
    assert there.split()[-7:-5] == ["0", "0"]  # root's, in whichever user namespace the copy was made
    assert output(tinybox, "--userns", users, "-v", "other:/etc:nocopy", image, "ls", "/etc") == ""
    assert names(tinybox) == ["named", "other"]  # the nameless ones were removed by --rm


def test_an_empty_volume_in_use_is_not_filled(tinybox: Command) -> None:
    """A second box does not fill the volume while another box runs with it; it does when that box is at rest."""
    name = new_name()
    image = ("busybox", "sh", "-c", "echo READY; cat; echo first > /tmp/file; ls /etc | grep -c passwd")
    with kept(tinybox, "--rm", "-i", "--name", name, "-v", "empty:/tmp", *image, stdin=subprocess.PIPE) as first:
        assert output(tinybox, "-v", "empty:/etc", "busybox", "ls", "/etc").split() == []
        first.communicate("")
    assert output(tinybox, "-v", "empty:/tmp", "busybox", "cat", "/tmp/file") == "first\n"
    assert "passwd" in output(tinybox, "-v", "other:/etc", "busybox", "ls", "/etc").split()


def test_a_link_in_the_image_does_not_lead_to_the_host(tinybox: Command, tmp_path: Path) -> None:
    """The copy to a volume stays inside the image, whatever its links say; two layers are seen as one."""
    (tmp_path / "secret").write_text("the host's")
    name = new_name()
    script = f"mkdir -p {tmp_path} /d/sub; echo box > {tmp_path}/secret; ln -s {tmp_path} /link; rm /etc/group"
    assert tinybox("run", "--name", name, "busybox", "sh", "-c", script).returncode == 0
    assert tinybox("commit", name, "linked").returncode == 0
    try:
        assert output(tinybox, "-v", "v1:/link", "linked", "sh", "-c", "ls /link; cat /link/secret") == "secret\nbox\n"
        assert "group" not in output(tinybox, "-v", "v2:/etc", "linked", "ls", "/etc").split()
        assert output(tinybox, "-v", "v3:/d", "linked", "ls", "/d") == "sub\n"
        assert output(tinybox, "-v", "v4:/none/at/all", "linked", "ls", "/none/at/all") == ""
    finally:
        assert tinybox("rm", name).returncode == 0
        assert tinybox("rmi", "linked").returncode == 0


def test_a_volume_is_filled_whole_or_not_at_all(tinybox: Command) -> None:
    """Tinybox is killed while it fills a volume: the volume is empty or complete, and the next box fills it."""
    words, killed = [tinybox.path, "run", "--rm", "-v", "whole:/", "busybox", "true"], 0
    for delay in (0.05, 0.1, 0.15, 0.2):
        with subprocess.Popen(
            [*words[:4], "whole:/usr", "alpine", "true"], env=tinybox.environment, process_group=0
        ) as process:
            try:
                process.wait(delay)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                killed += 1
        data = Path(tinybox.root, "volumes", "whole", "_data")
        left = sorted(os.listdir(data)) if data.exists() else []
        assert left in ([], sorted(output(tinybox, "alpine", "ls", "/usr").split()))
        assert output(tinybox, "-v", "whole:/usr", "alpine", "ls", "/usr") == output(tinybox, "alpine", "ls", "/usr")
        assert tinybox("volume", "rm", "whole").returncode == 0
    assert killed > 0


def test_volumes_of_the_image(tinybox: Command, tmp_path: Path) -> None:
    """A VOLUME of the image is an anonymous volume with the image's files, unless something is mounted there."""
    name = new_name()
    assert tinybox("run", "--name", name, "busybox", "sh", "-c", "mkdir -m 770 /data; echo x > /data/f").returncode == 0
    assert tinybox("commit", "-c", "VOLUME /data", name, "with-volume").returncode == 0
    assert tinybox("rm", name).returncode == 0
    try:
        script = "grep -c ' /data ' /proc/mounts; ls /data; ls -ld /data | cut -c1-10"
        assert output(tinybox, "with-volume", "sh", "-c", script).split() == ["1", "f", "drwxrwx---"]
        assert names(tinybox) == []
        assert output(tinybox, "-v", f"{tmp_path}:/data", "with-volume", "ls", "/data") == ""
        with kept(tinybox, "--name", name, "with-volume", "sh", "-c", "echo READY; sleep 1000"):
            (volume,) = names(tinybox)
            assert set(volume) <= HEX
            assert set(told(stream(tinybox, "cp", f"{name}:/data", "-"))) == {"data", "data/f"}
        assert tinybox("rm", "-v", name).returncode == 0
        assert names(tinybox) == []
    finally:
        assert tinybox("rmi", "with-volume").returncode == 0


def test_a_volume_in_use_stays(tinybox: Command) -> None:
    """Neither rm nor prune removes a volume of an existing box, even at rest; afterwards both do; prune asks first."""
    name = new_name()
    assert tinybox("run", "--name", name, "-v", "used:/v", "busybox", "true").returncode == 0
    assert tinybox("volume", "create", "unused").returncode == 0
    anonymous = tinybox("volume", "create").stdout.strip()
    one_line(tinybox("volume", "rm", "used"), 1, "is in use by")
    assert names(tinybox, "-f", "dangling=true") == sorted([anonymous, "unused"])
    asked = tinybox("volume", "prune", "-a", text="n\n")
    assert "WARNING! This will remove:" in asked.stdout
    assert len(names(tinybox)) == 3
    assert tinybox("volume", "prune", text="y\n").stdout.count(anonymous) == 1
    assert names(tinybox) == ["unused", "used"]
    assert "unused" in tinybox("volume", "prune", "-a", "-f").stdout
    assert names(tinybox) == ["used"]
    assert tinybox("rm", name).returncode == 0
    assert tinybox("volume", "rm", "used").returncode == 0
