"""Attacks by what an image says about itself: its user, its variables, its labels; and by rights that are inherited."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.conftest import SECRET, guarded, replaced
from tests.support import image_archives as tar
from tests.support.boxes import new_name, until
from tinybox.container.config import configure, linux, mounts, option_values, user_option
from tinybox.container.planning import program, streams
from tinybox.container.records import spec
from tinybox.isolation import capabilities
from tinybox.isolation.seccomp import default_profile
from tinybox.linux import capability

if TYPE_CHECKING:
    from tests.attacks.conftest import Engine
    from tests.support.hostile_images import Images
    from tinybox.container.config.request import Request
    from tinybox.container.records.spec_types import Mount, User

pytestmark = pytest.mark.root

BEYOND = str(1 << 32)  # the kernel's numbers of users have 32 bits, and so this would be root
RAW = 1 << capability.NUMBERS["CAP_NET_RAW"]
VFS_CAP = struct.pack("<I4I", 0x02000001, 0, RAW, 0, 0)  # a file that takes an inheritable right: capabilities(7)
HOST = [word for path in ("/usr", "/lib", "/lib64") if os.path.isdir(path) for word in ("-v", f"{path}:{path}:ro")]
NOBODY = (
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--inh-caps=-all",
    "sh",
    "-c",
    'exec "$@"',
    "sh",
)
SETGID_CAT = "/v/cat"


def short_numbers(patch: pytest.MonkeyPatch) -> None:
    """Accept any number of a user, and give the kernel its lowest 32 bits, as a language with such integers does."""
    real = capabilities.set_identity

    def set_identity(uid: int, gid: int, groups: list[int], umask: int | None) -> None:
        real(uid & 0xFFFFFFFF, gid & 0xFFFFFFFF, [group & 0xFFFFFFFF for group in groups], umask)

    patch.setattr(user_option, "MOST", 1 << 63)
    patch.setattr(capabilities, "set_identity", set_identity)
    patch.setattr(streams, "give_streams", lambda *_: None)


@guarded(short_numbers)
@pytest.mark.parametrize("way", ["option", "image"])
def test_a_number_beyond_the_kernel_s_is_not_root(engine: Engine, images: Images, succeeds: bool, way: str) -> None:
    """CVE-2024-40635: -u or an image's USER 4294967296 is refused, and does not become user 0."""
    look = ("sh", "-c", "echo user $(id -u)")
    image = images.make(User=f"{BEYOND}:{BEYOND}") if way == "image" else "busybox"
    shown = engine.run(*(["-u", f"{BEYOND}:{BEYOND}"] if way == "option" else []), image, *look)
    assert ("user 0" in shown) == succeeds, shown


def names_first(patch: pytest.MonkeyPatch) -> None:
    """Look a user's number up as a name, if it is too large for a number, as containerd did."""
    real = user_option._row
    patch.setattr(user_option, "_row", lambda table, word: next((row for row in table if row[0] == word), None)
                  or real(table, word))  # fmt: skip


@guarded(names_first)
def test_a_number_is_not_looked_up_as_a_name(engine: Engine, images: Images, succeeds: bool) -> None:
    """CVE-2026-46680: an image whose /etc/passwd calls root 4294967296 makes no program of that user run as root."""
    image = images.make(tar.regular("etc/passwd", f"{BEYOND}:x:0:0::/:/bin/sh\n".encode()), User=BEYOND)
    shown = engine.run(image, "sh", "-c", "echo user $(id -u)")
    assert ("user 0" in shown) == succeeds, shown


def without_primary_group(uid: int, gid: int, more: tuple[int, ...] = ()) -> User:
    """Return a user whose own group is not among the further ones."""
    return {"uid": uid, "gid": gid, "additionalGids": list(more)}


@guarded(replaced(user_option, "_user", without_primary_group))
def test_a_group_is_not_lost_by_a_set_gid_program(engine: Engine, tmp_path: Path, succeeds: bool) -> None:
    """CVE-2022-36109, CVE-2022-2989: a file that denies a group denies it to a set-group-ID program of it, too."""
    tmp_path.chmod(0o755)
    cat = tmp_path / "cat"
    shutil.copy("/bin/cat", cat)
    os.chown(cat, 0, 2000)
    cat.chmod(0o2755)
    (tmp_path / "secret").write_text(SECRET)
    os.chown(tmp_path / "secret", 0, 1000)
    (tmp_path / "secret").chmod(0o604)
    shown = engine.run("-u", "1000:1000", *HOST, "-v", f"{tmp_path}:/v", "busybox", SETGID_CAT, "/v/secret")
    assert (SECRET in shown) == succeeds, shown


def inheriting(patch: pytest.MonkeyPatch) -> None:
    """Make all granted capabilities inheritable, as docker, podman and `runc exec` did."""
    real = program.granted

    def granted(task: Any) -> dict[str, list[str]]:
        sets = real(task)
        return {**sets, "inheritable": sets["bounding"]}

    patch.setattr(program, "granted", granted)


@guarded(inheriting)
def test_no_capability_is_inheritable(engine: Engine, images: Images, succeeds: bool) -> None:
    """CVE-2022-24769, CVE-2022-27649, CVE-2022-29162: a user gets no right by a file that takes an inheritable one.

    Neither in `run` nor in `exec`.
    """
    attribute = {"SCHILY.xattr.security.capability": VFS_CAP.decode("utf-8", "surrogateescape")}
    with open("/bin/busybox", "rb") as file:
        content = file.read()
    image = images.make(tar.directory("own"), tar.regular("own/grep", content, mode=0o755, pax_headers=attribute))
    name, look = new_name(), ("/own/grep", "CapEff", "/proc/self/status")
    found = [engine.run("-u", "1000", image, *look)]
    assert engine("run", "-d", "--name", name, image, "sleep", "100").status == 0
    try:
        found.append(engine("exec", "-u", "1000", name, *look).stdout)
    finally:
        engine("rm", "-f", name)
    assert [int(shown.split()[-1], 16) & RAW for shown in found] == [RAW * succeeds] * 2, found


def variables_of_the_host(patch: pytest.MonkeyPatch) -> None:
    """Read the image's variables as the values of -e, where a name alone means the caller's variable."""
    real = configure._asked_environment

    def environment(request: Request) -> dict[str, str]:
        return real(request) | option_values.environment(request.image.config.get("Env") or [], [])

    patch.setattr(configure, "_asked_environment", environment)


@guarded(variables_of_the_host)
def test_an_image_does_not_get_the_caller_s_variables(
    engine: Engine, images: Images, monkeypatch: pytest.MonkeyPatch, succeeds: bool
) -> None:
    """CVE-2026-57231: a variable of an image that is a name alone, or ``*``, does not take the caller's value."""
    monkeypatch.setenv("HOST_SECRET", SECRET)
    shown = engine.run(images.make(Env=["HOST_SECRET", "HOST_*", "*"]), "env")
    assert (SECRET in shown) == succeeds, shown


@guarded(replaced(spec, "LABEL", ""))
def test_a_label_of_an_image_is_no_order_to_tinybox(
    engine: Engine, images: Images, outside: Path, succeeds: bool
) -> None:
    """CVE-2026-53488: an image's labels cannot set an annotation that tinybox obeys, such as that of its layers."""
    (outside / "bin").mkdir()
    shutil.copy("/bin/busybox", outside / "bin" / "cat")
    shown = engine.run(images.make(Labels={spec.LAYERS: str(outside)}), "/bin/cat", "/secret")
    assert (SECRET in shown) == succeeds, shown


def with_crypto_sockets(patch: pytest.MonkeyPatch) -> None:
    """Allow sockets of the kernel's cryptography, as docker did until 2026."""
    families = {number: name for number, name in default_profile.SHUT_FAMILIES.items() if name != "ALG"}
    patch.setattr(default_profile, "SHUT_FAMILIES", families)
    patch.setattr(linux, "_PROFILES", {})


@guarded(with_crypto_sockets)
def test_the_kernel_s_cryptography_is_out_of_reach(engine: Engine, succeeds: bool) -> None:
    """CVE-2026-31431 (a hole of the kernel, "copy fail"): a box gets no socket of the family AF_ALG."""
    script = (
        "import socket\ntry: socket.socket(38, socket.SOCK_SEQPACKET)\nexcept OSError as e: print('errno', e.errno)"
    )
    folders = [*HOST, *(("-v", f"{sys.base_prefix}:{sys.base_prefix}:ro") if sys.base_prefix != "/usr" else ())]
    shown = engine.run(*folders, "busybox", os.path.realpath(sys.executable), "-c", script)
    assert ("errno 1\n" not in shown) == succeeds, shown  # without the guard: a socket, or EAFNOSUPPORT


def with_admin(patch: pytest.MonkeyPatch) -> None:
    """Give a box CAP_SYS_ADMIN, and no seccomp filter."""
    patch.setattr(capabilities, "DEFAULT", [*capabilities.DEFAULT, "CAP_SYS_ADMIN"])
    patch.setattr(linux, "_seccomp", lambda *_: None)


@guarded(with_admin)
def test_no_file_system_is_mounted_inside(engine: Engine, succeeds: bool) -> None:
    """CVE-2022-0492: no mount in a box, not even in namespaces of its own; so no cgroup with a release_agent, either.

    A tmpfs stands for it here: the attack's own mount would show the host's control groups.
    """
    commands = ("mount -t tmpfs x /tmp && echo MOUNTED", "unshare -Urm sh -c 'mount -t tmpfs x /tmp && echo MOUNTED'")
    shown = engine.run("busybox", "sh", "-c", "; ".join(commands))
    assert ("MOUNTED" in shown) == succeeds, shown


def writable_groups(patch: pytest.MonkeyPatch) -> None:
    """Mount the box's control groups without `ro`."""
    real = mounts._cgroups

    def cgroups(request: Request, options: list[str]) -> Mount:
        return real(request, [option for option in options if option != "ro"])

    patch.setattr(mounts, "_cgroups", cgroups)


@guarded(writable_groups)
def test_the_limits_of_a_box_cannot_be_lifted(engine: Engine, succeeds: bool) -> None:
    """CVE-2023-25809: a box cannot write to its own control groups: neither to limits, nor make groups."""
    script = (
        "for f in $(find /sys/fs/cgroup -name cgroup.procs); do d=${f%/*}/made; mkdir $d && rmdir $d && echo MADE; done"
    )
    shown = engine.run("-m", "64m", "busybox", "sh", "-c", f"({script}) 2>/dev/null; echo END")
    assert ("MADE" in shown, "END" in shown) == (succeeds, True), shown


@pytest.mark.parametrize("succeeds", [False, True], ids=["whole", "without-guard"])
def test_the_store_is_closed_to_the_host_s_users(engine: Engine, succeeds: bool) -> None:
    """CVE-2021-41091: a user of the host does not reach a set-user-ID program in a box; the guard is a mode."""
    name, script = new_name(), "mkdir /own; cp /bin/busybox /own; chmod 4755 /own/busybox; echo READY; sleep 100"
    assert engine("run", "-d", "--name", name, "busybox", "sh", "-c", script).status == 0
    folder = Path(engine.root, "containers")
    before = folder.stat().st_mode
    try:
        until(lambda: "READY" in engine("logs", name).stdout)
        (program,) = folder.glob("*/upper/own/busybox")
        if succeeds:
            for each in (folder, *program.parents[: len(program.parents) - len(folder.parents) - 1]):
                each.chmod(0o755)
        done = subprocess.run([*NOBODY, str(program), "true"], capture_output=True, text=True, check=False)
        assert (done.returncode == 0, "Permission denied" in done.stderr) == (succeeds, not succeeds), done
    finally:
        folder.chmod(before & 0o7777)
        engine("rm", "-f", name)
