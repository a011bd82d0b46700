"""Details of inspect, ps and the lists that scripts read, as docker prints them; each fact is from docker 28.2.2."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.boxes import PATIENCE, new_name, one_line
from tests.support.detached_boxes import FOREVER, life, stdout_of, until_it_waits
from tests.support.screens import screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root


def field(tinybox: Command, name: str, path: str) -> Any:
    """Return the field *path* of what `inspect` prints of *name*."""
    return json.loads(stdout_of(tinybox, "inspect", "--format", f"{{{{json .{path}}}}}", name))


@contextlib.contextmanager
def created(tinybox: Command, *words: str) -> Iterator[str]:
    """Make a container that rests, and remove it at the end."""
    with life(tinybox, *words, "busybox", "true", verb="create") as box:
        yield box.name


def test_env_has_the_variables_that_were_asked_for(tinybox: Command) -> None:
    """Config.Env has those of user and image; not HOSTNAME, TERM and HOME, unless the user sets them: so has docker's.

    A script that makes a container again from Config.Env would give the new one the old one's host name.
    """
    with created(tinybox, "-t", "-e", "A=1") as name:
        lines = field(tinybox, name, "Config.Env")
        assert sorted(line.partition("=")[0] for line in lines) == ["A", "PATH"]
    with created(tinybox, "-t", "-e", "TERM=dumb", "-e", "HOME=/h", "-e", "HOSTNAME=h") as name:
        assert {"TERM=dumb", "HOME=/h", "HOSTNAME=h"} < set(field(tinybox, name, "Config.Env"))
    with created(tinybox, "-e", "HOME=/h") as name:
        made = f"{name}-image"
        stdout_of(tinybox, "commit", name, made)
        try:
            lines = stdout_of(tinybox, "run", "--rm", "-e", "A=1", made, "env").splitlines()
            assert [line.partition("=")[0] for line in lines] == ["PATH", "HOSTNAME", "A", "HOME"]
        finally:
            tinybox("rmi", made)


def test_published_ports_are_exposed(tinybox: Command) -> None:
    """Config.ExposedPorts has the ports of -p and of --expose: reverse proxies look for a container's port there."""
    with created(tinybox, "-p", "80", "-p", "127.0.0.1::53/udp", "--expose", "7") as name:
        assert field(tinybox, name, "Config.ExposedPorts") == {"53/udp": {}, "7/tcp": {}, "80/tcp": {}}


def test_a_field_that_is_not_set(tinybox: Command) -> None:
    """JSON has no key Health, Healthcheck or Name of a mount if there is none; a template finds each."""
    with created(tinybox, "-v", "/etc/hostname:/h") as name:
        [known] = json.loads(stdout_of(tinybox, "inspect", name))
        assert "Health" not in known["State"]
        assert {"Healthcheck", "StopTimeout", "ExposedPorts"}.isdisjoint(known["Config"])
        assert known["Mounts"][0].keys() == {"Type", "Source", "Destination", "Mode", "RW", "Propagation"}
        assert "Health" not in field(tinybox, name, "State")
        style = "{{.State.Health}} {{.Config.StopTimeout}} {{(index .Mounts 0).Name}}."
        assert stdout_of(tinybox, "inspect", "-f", style, name) == "<nil> <nil> .\n"
    with created(tinybox, "--health-cmd", "true", "--stop-timeout", "3") as name:
        assert field(tinybox, name, "Config.Healthcheck.Test") == ["CMD-SHELL", "true"]
        assert field(tinybox, name, "Config")["StopTimeout"] == 3


def test_settings_that_nobody_asked_for(tinybox: Command) -> None:
    """Config.WorkingDir is empty and there is no StopSignal if neither the user nor the image has set them."""
    with created(tinybox) as name:
        known = field(tinybox, name, "Config")
        assert (known["WorkingDir"], "StopSignal" in known) == ("", False)
        assert stdout_of(tinybox, "inspect", "-f", "<{{.Config.StopSignal}}>", name) == "<>\n"
    with created(tinybox, "-w", "/", "--stop-signal", "SIGTERM") as name:
        known = field(tinybox, name, "Config")
        assert (known["WorkingDir"], known["StopSignal"]) == ("/", "SIGTERM")


def test_a_field_that_an_image_does_not_set(tinybox: Command) -> None:
    """Templates find each field of an image's Config; JSON has those that are set."""
    style = "{{.Config.Entrypoint}} {{.Config.User}}|{{.Config.Labels}} {{.Config.WorkingDir}}|{{.Config.Healthcheck}}"
    assert stdout_of(tinybox, "image", "inspect", "-f", style, "busybox") == "[] |map[] |<nil>\n"
    assert field(tinybox, "busybox", "Config").keys() == {"Env", "Cmd"}


def test_none_and_host_are_networks(tinybox: Command) -> None:
    """A box without a network of its own is in docker's network `host` or `none`: for inspect, ps and its filter."""
    for network in ("none", "host"):
        with life(tinybox, "--network", network, "busybox", *FOREVER) as box:
            assert list(field(tinybox, box.name, "NetworkSettings.Networks")) == [network]
            words = ("ps", "--filter", f"name={box.name}", "--format", "{{.Networks}}")
            assert stdout_of(tinybox, *words, "--filter", f"network={network}") == f"{network}\n"
            assert stdout_of(tinybox, *words, "--filter", "network=bridge") == ""
            beside = ("--network", f"container:{box.name}", "busybox", *FOREVER)
            with life(tinybox, *beside) as guest:  # it has no network of its own, in docker's words, too
                assert field(tinybox, guest.name, "NetworkSettings.Networks") == {}


def test_a_mount_is_found_by_its_source(tinybox: Command) -> None:
    """Ps --filter volume= matches the directory of the host that is mounted, and no directory above it."""
    with life(tinybox, "-v", "/etc/hostname:/h", "busybox", *FOREVER) as box:
        words = ("ps", "--format", "{{.Names}}", "--filter", f"name={box.name}", "--filter")
        for value, is_found in (("/etc/hostname", True), ("/h", True), ("/h/", True), ("/etc", False)):
            assert stdout_of(tinybox, *words, f"volume={value}") == f"{box.name}\n" * is_found, value


def test_quiet_and_format(tinybox: Command) -> None:
    """In the lists of images, networks and volumes --format is stronger than -q; in that of containers -q is."""
    name = new_name()
    stdout_of(tinybox, "volume", "create", name)
    try:
        style = ("-q", "--format")
        assert stdout_of(tinybox, "volume", "ls", *style, "<{{.Name}}>", "-f", f"name={name}") == f"<{name}>\n"
        assert stdout_of(tinybox, "volume", "ls", *style, "table", "-f", f"name={name}") == f"{name}\n"
    finally:
        tinybox("volume", "rm", name)
    assert stdout_of(tinybox, "network", "ls", *style, "{{.Name}}", "-f", "name=host") == "host\n"
    assert stdout_of(tinybox, "images", *style, "{{.Repository}}", "busybox") == "busybox\n"
    assert stdout_of(tinybox, "history", *style, "{{.Size}}", "busybox").split()[0] != "sha256"
    with created(tinybox) as name:
        done = tinybox("ps", "-a", *style, "{{.Names}}", "-f", f"name={name}")
        assert (done.returncode, "--quiet" in done.stderr) == (0, True)
        assert field(tinybox, name, "Id").startswith(done.stdout.strip())


def test_images_takes_a_pattern(tinybox: Command) -> None:
    """`images 'busy*'` lists the images whose names fit; a pattern that is none is an error."""
    assert stdout_of(tinybox, "images", "busyb*", "--format", "{{.Repository}}").split() == ["busybox"]
    assert stdout_of(tinybox, "images", "busyb*:nosuch", "-q") == ""
    one_line(tinybox("images", "["), 1, "syntax error in pattern")


def test_cp_is_silent_without_a_terminal(tinybox: Command, tmp_path: Any) -> None:
    """Without a terminal cp prints nothing, as docker's, so a script that takes stderr for an error finds none."""
    with created(tinybox) as name:
        for words in ((f"{name}:/etc/passwd", str(tmp_path)), (str(tmp_path), f"{name}:/copy")):
            done = tinybox("cp", *words)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        with screen(tinybox, "cp", *words) as it:
            assert it.status() == 0
            assert "Successfully copied" in it.shown
        with screen(tinybox, "cp", "-q", *words) as it:
            assert (it.status(), it.shown) == (0, "")


def test_network_rm_of_a_missing_name(tinybox: Command) -> None:
    """With -f a name that no network has is passed over without a word."""
    done = tinybox("network", "rm", "-f", new_name())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_values_of_a_health_check_are_read_without_one(tinybox: Command) -> None:
    """A time without a unit, and a negative number, are errors also when no health check uses them."""
    for option, value in (("interval", "1"), ("timeout", "-1s"), ("start-period", "x"), ("retries", "-1")):
        one_line(tinybox("run", "--rm", f"--health-{option}", value, "busybox", "true"), 125, f"--health-{option}")


def test_wait_of_a_box_that_is_removed(tinybox: Command) -> None:
    """`wait` prints the status of a --rm box, which is gone by then, and of one that another command removes."""
    ends = ("sh", "-c", "trap 'exit 4' USR1; while :; do sleep 0.05; done")
    for options, program, request, status in (
        (["--rm"], ends, ["kill", "-s", "USR1"], 4),
        ([], FOREVER, ["rm", "-f"], 137),
    ):
        with life(tinybox, *options, "busybox", *program) as box, tinybox.start("wait", box.name) as waiting:
            until_it_waits(waiting.pid)
            stdout_of(tinybox, *request, box.name)
            assert waiting.communicate(timeout=PATIENCE)[0] == f"{status}\n"
