"""An OCI runtime without its directory, its rights, its streams, or a disk to write on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root

VERBS = (["create"], ["run"], ["start"], ["state"], ["kill"], ["delete"], ["exec", "true"], ["ps"], ["list"])
# Another user, with the right to read the runtime where root has installed it.
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
          "--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"]  # fmt: skip


def words_of(runtime: Runtime, verb: str, more: tuple[str, ...]) -> list[str]:
    """Return a whole command line of *verb*, about the container ``box``."""
    bundle = ["--bundle", str(runtime.bundle)] if verb in ("create", "run") else []
    return [verb, *bundle, *(["box"] if verb != "list" else []), *more]


@pytest.mark.parametrize(("verb", "more"), [(verb, tuple(more)) for verb, *more in VERBS])
def test_a_root_that_is_no_directory_is_named(runtime: Runtime, verb: str, more: tuple[str, ...]) -> None:
    """One line names --root and its fault, and so does the engine's log."""
    log, file = runtime.folder / "log", runtime.folder / "file"
    file.touch()
    words = ["--root", str(file), "--log", str(log), "--log-format=json", *words_of(runtime, verb, more)]
    done = runtime.through([], words)
    assert (done.returncode, done.stdout) == (125, "")
    assert len(done.stderr.splitlines()) == 1
    assert f"--root {file}: " in done.stderr
    assert "directory" in done.stderr
    assert json.loads(log.read_text())["msg"] in done.stderr


def test_a_root_that_cannot_be_written_is_named(runtime: Runtime) -> None:
    """On a read-only file system nothing is made, and a missing container is reported as missing."""
    script = 'mount -t tmpfs -o ro tmpfs "$0" && exec "$@"'
    where = runtime.folder / "readonly"
    where.mkdir()
    before = ["unshare", "--mount", "sh", "-c", script, str(where)]
    root = ["--root", f"{where}/state"]
    done = runtime.through(before, [*root, "create", "--bundle", str(runtime.bundle), "box"])
    assert done.returncode == 125
    assert done.stderr == f"tinybox-oci: --root {where}/state: read-only file system (name a directory on a disk)\n"
    assert runtime.through(before, [*root, "list", "-q"]).returncode == 0
    assert "container does not exist" in runtime.through(before, [*root, "state", "box"]).stderr
    assert runtime.through(before, [*root, "delete", "--force", "box"]).returncode == 0


def test_a_log_that_cannot_be_opened_is_named(runtime: Runtime) -> None:
    """Without its log an engine would not see errors: so that is the error."""
    done = runtime("--log=/proc/nosuch/log", "list")
    assert done.returncode == 125
    assert done.stderr == "tinybox-oci: --log /proc/nosuch/log: no such file or directory\n"


def test_another_user_is_told_to_use_root(runtime: Runtime) -> None:
    """One line reports that it needs root, in a directory of root's and in one of the user's own; nothing is made."""
    own = runtime.folder / "own"
    own.mkdir()
    runtime.folder.chmod(0o755)
    for root in (runtime.folder / "state", own / "state"):
        if root.parent == own:
            os.chown(own, 65534, 65534)
        words = ["--root", str(root), "create", "--bundle", str(runtime.bundle), "box"]
        done = runtime.through(NOBODY, words)
        assert done.returncode == 125
        assert len(done.stderr.splitlines()) == 1
        assert "permission denied" in done.stderr
        assert "root" in done.stderr
        assert not (root / "box").exists()


def test_a_bundle_that_cannot_be_written_runs(runtime: Runtime) -> None:
    """Nothing is written into a bundle, and config.json is only read."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && ! touch "$0/new" 2>/dev/null && exec "$@"'
    runtime.program("echo", "ran")
    before = ["unshare", "--mount", "sh", "-c", script, str(runtime.bundle)]
    done = runtime.through(before, ["--root", str(runtime.root), "run", "--bundle", str(runtime.bundle), "box"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_get_no_file_of_the_runtime(runtime: Runtime, closed: str) -> None:
    """No file of tinybox takes the number of a closed stream: the program has 0, 1 and 2 and no others."""
    told = runtime.bundle / "rootfs/tmp/told"
    runtime.change(lambda config: config["root"].update(readonly=False))
    runtime.program("sh", "-c", "for fd in 0 1 2 3 4; do test -e /proc/self/fd/$fd && echo $fd; done > /tmp/told; true")
    before = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    done = runtime.through(before, ["--root", str(runtime.root), "run", "--bundle", str(runtime.bundle), "box"])
    assert done.returncode == 0
    assert told.read_text().split() == ["0", "1", "2"]
    assert runtime.through(before, ["--root", str(runtime.root), "state", "box"]).returncode == 125
