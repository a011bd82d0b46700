"""``linux`` of config.json: namespaces, devices, limits and the filter, compared with what the kernel shows."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.oci_bundles import Bundle, bundle
from tinybox.isolation.cgroups import hierarchies
from tinybox.isolation.cgroups.group import place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host

__all__ = ["bundle"]

pytestmark = pytest.mark.root

KINDS = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "mount": "mnt", "time": "time"}


@pytest.fixture
def other() -> Iterator[int]:
    """Give the pid of a process with namespaces of its own, for a container to join."""
    words = ["unshare", "-n", "-i", "-u", "-C", "-T", "--fork", "sh", "-c", "hostname other; echo $$; read x"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate("\n")


def namespaces_of(bundle: Bundle) -> dict[str, str]:
    """Return the container's namespaces, by their kernel names."""
    (bundle.root / "bin/readlink").symlink_to("busybox")
    script = "for k in pid net ipc uts cgroup mnt time user; do echo $k $(readlink /proc/self/ns/$k); done"
    return dict(line.split() for line in bundle.says(script).splitlines())


def test_namespaces_are_new_or_the_runtime_s(bundle: Bundle) -> None:
    """Listed namespaces are the container's own, the others are the runtime's."""
    bundle.linux["namespaces"] = [{"type": kind} for kind in KINDS]
    found = namespaces_of(bundle)
    assert all(found[name] != os.readlink(f"/proc/self/ns/{name}") for name in KINDS.values())
    assert found["user"] == os.readlink("/proc/self/ns/user")
    (bundle.root / "bin/readlink").unlink()
    bundle.linux["namespaces"] = [{"type": "mount"}]
    del bundle.config["hostname"], bundle.config["mounts"][2]  # a sysfs needs a network namespace of its own
    found = namespaces_of(bundle)
    assert found.pop("mnt") != os.readlink("/proc/self/ns/mnt")
    assert all(found[name] == os.readlink(f"/proc/self/ns/{name}") for name in found)


def test_namespaces_are_joined_by_their_paths(bundle: Bundle, other: int) -> None:
    """The container is in the namespaces of the paths, and does not set its host name in a joined UTS namespace."""
    joined = ("network", "ipc", "uts", "cgroup", "time")
    assert all(os.readlink(f"/proc/{other}/ns/{KINDS[k]}") != os.readlink(f"/proc/self/ns/{KINDS[k]}") for k in joined)
    bundle.linux["namespaces"] = [{"type": kind, "path": f"/proc/{other}/ns/{KINDS[kind]}"} for kind in joined] + [
        {"type": "mount"},
        {"type": "pid"},
    ]
    del bundle.config["hostname"]
    found = namespaces_of(bundle)
    assert {found[KINDS[kind]] for kind in joined} == {os.readlink(f"/proc/{other}/ns/{KINDS[k]}") for k in joined}
    assert bundle.says("hostname") == "other"


def test_a_path_of_no_such_namespace_is_an_error(bundle: Bundle) -> None:
    """A namespace of another type, a file that is no namespace, and a missing one are named."""
    for path, cause in (
        ("/proc/self/ns/uts", "is no ipc namespace"),
        ("/dev/null", "is no ipc namespace"),
        ("/nowhere", "no such file"),
    ):
        bundle.linux["namespaces"][2] = {"type": "ipc", "path": path}
        bundle.refused("linux.namespaces: ipc", cause)


def test_clocks_differ_by_the_offsets(bundle: Bundle) -> None:
    """With timeOffsets the machine has been up for so much longer; a new time namespace alone changes nothing."""
    bundle.linux["namespaces"].append({"type": "time"})
    ours = float(Path("/proc/uptime").read_text().split()[0])
    same = float(bundle.says("cat /proc/uptime").split()[0])
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 1_000_000, "nanosecs": 5}, "monotonic": {"secs": 5}}
    later = float(bundle.says("cat /proc/uptime").split()[0])
    assert ours <= same < ours + 100
    assert ours + 1_000_000 <= later < ours + 1_000_100
    assert bundle.says("cat /proc/self/timens_offsets").split() == "monotonic 5 0 boottime 1000000 5".split()


def test_host_name_and_domain_name_are_the_config_s(bundle: Bundle) -> None:
    """Hostname and domainname are those of the UTS namespace; the host's do not change."""
    ours = Path("/proc/sys/kernel/domainname").read_text()
    bundle.config["domainname"] = "example.org"
    said = bundle.says("cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname")
    assert said.split() == ["bundle", "example.org"]
    assert Path("/proc/sys/kernel/domainname").read_text() == ours


@pytest.fixture
def reachable() -> Iterator[Bundle]:
    """Give a bundle in a directory that every user may pass, as engines make one for user namespaces."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Bundle(Path(folder) / "bundle")


def test_users_are_mapped(reachable: Bundle) -> None:
    """In a new user namespace root is the host's user of the map; files of others belong to nobody."""
    bundle = reachable
    bundle.linux["namespaces"].append({"type": "user"})
    maps = [{"containerID": 0, "hostID": 100_000, "size": 1000}]
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = maps
    os.chown(bundle.root, 100_000, 100_000)
    said = bundle.says("id -u; cat /proc/self/uid_map /proc/self/gid_map; touch /new; stat -c %u / /bin/busybox")
    assert said.split() == ["0", *"0 100000 1000".split() * 2, "0", "65534"]
    assert (bundle.root / "new").stat().st_uid == 100_000


def test_devices_are_made_as_listed(bundle: Bundle) -> None:
    """Kind, numbers, mode and owner are the config's, also outside /dev; the default devices are there, too."""
    bundle.linux["devices"] = [
        {"path": "/dev/zeros", "type": "c", "major": 1, "minor": 5, "fileMode": 0o20640, "uid": 3, "gid": 4},
        {"path": "/etc/block", "type": "b", "major": 7, "minor": 99},
        {"path": "/dev/queue", "type": "p", "fileMode": 0o600},
        {"path": "/dev/null", "type": "c", "major": 1, "minor": 3},
        {"path": "/dev/full", "type": "c", "major": 1, "minor": 7, "fileMode": 0o640, "uid": 3, "gid": 4},
    ]
    said = bundle.says(
        "stat -c '%F %t:%T %a %u:%g' /dev/zeros /etc/block /dev/queue /dev/null /dev/full",
        "for d in null zero full random urandom tty; do test -c /dev/$d && echo $d; done",
        "test -e /dev/ptmx && echo ptmx",
    )
    assert said.splitlines() == [
        "character special file 1:5 640 3:4",
        "block special file 7:63 666 0:0",
        "fifo 0:0 600 0:0",
        "character special file 1:3 666 0:0",
        "character special file 1:7 640 3:4",
        *"null zero full random urandom tty ptmx".split(),
    ]
    (bundle.root / "etc/block").unlink()


def test_the_links_of_dev_lead_to_the_streams(bundle: Bundle) -> None:
    """/dev/fd, stdin, stdout and stderr are links into /proc, and /dev/ptmx leads to the container's own devpts."""
    (bundle.root / "bin/readlink").symlink_to("busybox")
    said = bundle.says(
        "for name in fd stdin stdout stderr ptmx; do readlink /dev/$name; done; echo there > /dev/stdout"
    )
    links = "/proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 pts/ptmx".split()
    assert said.split() == [*links, "there"]


def test_another_file_in_a_device_s_place_is_an_error(bundle: Bundle) -> None:
    """A file that is not the device makes the creation fail; it does not change."""
    (bundle.root / "etc/taken").write_text("mine\n")
    bundle.linux["devices"] = [{"path": "/etc/taken", "type": "c", "major": 1, "minor": 5}]
    bundle.refused("/etc/taken", "another file")
    assert (bundle.root / "etc/taken").read_text() == "mine\n"


def test_only_listed_devices_can_be_used(bundle: Bundle) -> None:
    """With everything denied only the default devices work; without any rules the listed one works, too."""
    rights = ["CAP_MKNOD", "CAP_DAC_OVERRIDE"]
    bundle.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), rights)
    bundle.linux["devices"] = [{"path": "/dev/log", "type": "c", "major": 1, "minor": 11}]  # the kernel's: kmsg
    look = "true < /dev/zero && echo zero; (true > /dev/log) 2>/dev/null && echo log; true"
    assert bundle.says(look) == "zero"
    del bundle.linux["resources"]["devices"]
    assert bundle.says(look).split() == ["zero", "log"]
    del bundle.linux["devices"]
    (bundle.root / "bin/mknod").symlink_to("busybox")
    assert bundle.says(f"mknod /dev/log c 1 11; {look}") == "zero"
    everything = {"access": "rwm"}
    zero = {"allow": True, "type": "c", "major": 1, "minor": 5, **everything}
    bundle.linux["resources"]["devices"] = [
        zero,
        {"allow": False, **everything},
    ]  # a default device, refused, is still one
    assert bundle.says(f"mknod /dev/log c 1 11; {look}") == "zero"


def test_masked_and_readonly_paths(bundle: Bundle) -> None:
    """A masked file is empty, a masked directory has no entries, a read-only one refuses files; others accept them."""
    for name in ("masked", "kept", "open"):
        (bundle.root / name).mkdir()
        (bundle.root / name / "file").write_text("text\n")
    (bundle.root / "secret").write_text("text\n")
    bundle.linux["maskedPaths"] = ["/masked", "/secret", "/not/there"]
    bundle.linux["readonlyPaths"] = ["/kept", "/not/there"]
    said = bundle.says(
        "ls /masked; cat /secret /kept/file; touch /kept/new 2>/dev/null || echo no; touch /open/new && echo yes"
    )
    assert said.split() == ["text", "no", "yes"]


def test_a_masked_path_may_go_through_links(bundle: Bundle) -> None:
    """Links such as /var/run -> ../run are followed, inside the root; one into /proc is an error; magic ones, too."""
    for name in ("run/secrets", "run/kept", "var"):
        (bundle.root / name).mkdir(parents=True)
    (bundle.root / "run/secrets/key").write_text("secret")
    (bundle.root / "var/run").symlink_to("../run")
    (bundle.root / "var/far").symlink_to("/../../run/kept")
    bundle.linux["maskedPaths"], bundle.linux["readonlyPaths"] = ["/var/run/secrets"], ["/var/far"]
    said = bundle.says("ls /run/secrets; touch /run/kept/new 2>/dev/null || echo no; touch /run/new && echo yes")
    assert said.split() == ["no", "yes"]
    (bundle.root / "var/away").symlink_to("../proc/self/attr")
    bundle.linux["maskedPaths"] = ["/var/away"]
    bundle.refused("/var/away", "leads into the box's /proc")
    (bundle.root / "var/out").symlink_to("/proc/self/root/tmp")
    bundle.linux["maskedPaths"] = ["/var/out"]
    bundle.refused("symbolic links")


def test_kernel_parameters_are_set(bundle: Bundle) -> None:
    """A sysctl is set in the container's namespaces; an unknown one is an error with its name."""
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}
    said = bundle.says("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced")
    assert said.split() == ["1", "1"]
    bundle.linux["sysctl"] = {"net.no.such": "1"}
    bundle.refused("net.no.such")
    bundle.linux["sysctl"] = {"kernel.panic": Path("/proc/sys/kernel/panic").read_text().strip()}
    bundle.refused("linux.sysctl.kernel.panic: is not a parameter of a namespace")


def test_limits_are_found_in_the_control_group(bundle: Bundle, host: Host) -> None:
    """Each limit of resources is in the kernel's files, in the group of cgroupsPath."""
    resources = bundle.linux["resources"]
    resources |= {"pids": {"limit": 55}, "memory": {"limit": 64 << 20}, "cpu": {"quota": 50_000, "period": 100_000}}
    bundle.linux["namespaces"].append({"type": "cgroup"})
    bundle.mount("/sys/fs/cgroup", "cgroup", "ro")
    (bundle.root / "bin/find").symlink_to("busybox")
    files = "pids.max memory.max memory.limit_in_bytes cpu.max cpu.cfs_quota_us"
    said = bundle.says(f"for f in {files}; do cat $(find /sys/fs/cgroup -name $f) < /dev/null; done")
    quota = ["50000", "100000"] if host.cgroups == "v2" else ["50000"]
    assert said.split() == ["55", str(64 << 20), *quota]


def test_one_cgroups_path_is_one_place(bundle: Bundle) -> None:
    """An absolute path begins at the top of the hierarchies, a relative one in tinybox's group; `..` is refused."""
    where = hierarchies.hierarchies()
    bundle.linux["resources"]["pids"] = {"limit": 9}
    for path in (bundle.linux["cgroupsPath"], "relative"):
        bundle.linux["cgroupsPath"] = path
        for _ in range(2):
            bundle.create("true")
            file = Path(f"{where.root('pids')}{path if path.startswith('/') else '/' + place(path)}/pids.max")
            assert file.read_text() == "9\n"
            bundle.close()
            assert not file.exists()
    bundle.linux["cgroupsPath"] = "/../out"
    bundle.refused("/../out")


def test_a_limit_without_a_controller_is_named(bundle: Bundle) -> None:
    """A controller that no host has is an error of the field; a missing controller without a limit is not."""
    bundle.linux["resources"]["unified"] = {"nosuch.max": "1"}
    bundle.refused("linux.resources.unified.nosuch.max", "no nosuch controller")
    del bundle.linux["resources"]["unified"]
    assert bundle.says("echo ran") == "ran"


def test_seccomp_follows_the_profile(bundle: Bundle) -> None:
    """A denied call fails with its errno, others pass; an unknown action is an error of its field."""
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
    }
    assert "No space left" in bundle.run("mkdir /new").stderr
    assert bundle.says("touch /new && echo yes") == "yes"
    bundle.linux["seccomp"]["syscalls"][0]["action"] = "SCMP_ACT_MAYBE"
    bundle.refused("linux.seccomp.syscalls[0].action", "SCMP_ACT_MAYBE")


def test_a_refused_bundle_leaves_nothing(bundle: Bundle) -> None:
    """After an error there is neither a record nor a control group of the container."""
    bundle.linux["intelRdt"] = {"closID": "a/b"}
    bundle.refused("linux.intelRdt.closID", "a/b")
    assert not (bundle.path / "state" / bundle.name).exists()
    assert stat.S_ISDIR(bundle.root.stat().st_mode)
