"""``mounts``, ``root`` and ``rootfsPropagation`` of config.json, compared with the program's own mountinfo."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.oci_bundles import Bundle, bundle

__all__ = ["bundle"]

pytestmark = pytest.mark.root


def line_of(bundle: Bundle, place: str) -> str:
    """Return the mountinfo line of the mount on *place* in the bundle, from its mount point on."""
    lines = [line.split(" ", 4)[4] for line in bundle.says("cat /proc/self/mountinfo").splitlines()]
    return [line for line in lines if line.startswith(f"{place} ")][-1]


def test_an_absolute_root_and_a_relative_one_are_the_same(bundle: Bundle) -> None:
    """root.path is relative to the bundle, or absolute, as podman writes it."""
    (bundle.root / "etc/which").write_text("this one\n")
    assert bundle.says("cat /etc/which") == "this one"
    bundle.config["root"]["path"] = str(bundle.root)
    assert bundle.says("cat /etc/which") == "this one"


def test_a_missing_root_is_an_error(bundle: Bundle) -> None:
    """The missing root directory is named."""
    bundle.config["root"]["path"] = "nowhere"
    bundle.refused("nowhere")


@pytest.mark.parametrize("readonly", [True, False])
def test_a_readonly_root_takes_no_files(bundle: Bundle, readonly: bool) -> None:
    """Nothing can be written to a read-only root; a tmpfs on it still accepts files."""
    bundle.config["root"]["readonly"] = readonly
    said = bundle.says("touch /new 2>/dev/null && echo root; touch /dev/shm 2>/dev/null && echo dev; true")
    assert said.split() == (["dev"] if readonly else ["root", "dev"])


def test_mounts_are_made_in_their_order(bundle: Bundle) -> None:
    """Of two mounts on one path the second covers the first."""
    for name in ("one", "two"):
        (bundle.path / name).mkdir()
        (bundle.path / name / name).touch()
    bundle.mount("/both", "bind", "bind", source=str(bundle.path / "one"))
    bundle.mount("/both", "bind", "bind", source="two")  # a relative source begins at the bundle
    assert bundle.says("ls /both") == "two"


def test_a_relative_destination_begins_at_the_root(bundle: Bundle) -> None:
    """A destination without a leading slash means the same as with one."""
    bundle.process["cwd"] = "/tmp"
    bundle.mount("tmp/here", "tmpfs", "mode=701")
    assert bundle.says("stat -c %a /tmp/here") == "701"


@pytest.mark.parametrize(
    ("options", "there"),
    [
        ([], {"rw", "relatime"}),
        (["ro"], {"ro", "relatime"}),
        (["nosuid", "nodev", "noexec"], {"nosuid", "nodev", "noexec"}),
        (["noexec", "exec"], set()),
        (["nosuid", "suid", "nodev", "dev", "ro", "rw"], {"rw"}),
        (["noatime"], {"noatime"}),
        (["noatime", "atime"], {"relatime"}),
        (["strictatime"], set()),
        (["strictatime", "nostrictatime"], {"relatime"}),
        (["relatime", "norelatime"], {"relatime"}),
        (["nodiratime"], {"nodiratime"}),
        (["nosymfollow"], {"nosymfollow"}),
        (["nosymfollow", "symfollow"], set()),
        (["defaults", "silent", "loud", "iversion", "noiversion", "mand", "nomand"], {"rw"}),
    ],
)
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_attributes_are_those_of_the_options(bundle: Bundle, kind: str, options: list[str], there: set[str]) -> None:
    """Every option of mount(8) that is an attribute is set on the mount, and its opposite clears it."""
    (bundle.path / "source").mkdir()
    more = ["bind"] if kind == "bind" else []
    bundle.mount("/there", kind, *more, *options, source="source" if kind == "bind" else "")
    found = set(line_of(bundle, "/there").split()[1].split(","))
    known = {"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"}
    assert there <= found
    if kind == "tmpfs":  # a bind mount keeps the flags of its source's mount, unless an option clears them
        assert found & known == there & known
        assert ("relatime" in found) == (not {"noatime", "strictatime"} & set(options) or "relatime" in there)


@pytest.mark.parametrize(("option", "shown"), [("sync", "sync"), ("dirsync", "dirsync"), ("lazytime", "lazytime")])
def test_flags_of_the_file_system_are_set_on_it(bundle: Bundle, option: str, shown: str) -> None:
    """Sync, dirsync and lazytime belong to the file system; async and nolazytime clear them again."""
    bundle.mount("/there", "tmpfs", option)
    bundle.mount("/plain", "tmpfs", "async", "nolazytime")
    assert shown in line_of(bundle, "/there").split(" - ")[1]
    assert shown not in line_of(bundle, "/plain").split(" - ")[1]


KEPT = {"nosuid", "nodev", "noexec"}  # the source's flags; its submount is read-only


@pytest.mark.parametrize(
    ("options", "there", "below"),
    [
        (["rbind"], {"rw", "noatime", *KEPT}, "ro"),  # no attribute is named: the source's stay
        (["rbind", "rprivate", "defaults"], {"rw", "noatime", *KEPT}, "ro"),
        (["rbind", "rprivate", "rw", "bind"], {"rw", "noatime"}, "ro"),  # one is named: the others are cleared
        (["rbind", "rw"], {"rw", "noatime"}, "ro"),
        (["bind", "rbind"], {"rw", "noatime", *KEPT}, "ro"),
        (["bind"], {"rw", "noatime", *KEPT}, None),
        (["rbind", "ro"], {"ro", "noatime"}, "ro"),
        (["rbind", "nosuid"], {"rw", "nosuid", "noatime"}, "ro"),
        (["rbind", "rw", "nosuid", "nodev"], {"rw", "nosuid", "nodev", "noatime"}, "ro"),
        (["rbind", "relatime"], {"rw", "relatime"}, "ro"),
        (["rbind", "noatime"], {"rw", "noatime"}, "ro"),
        (["rbind", "strictatime"], {"rw"}, "ro"),
        (["rbind", "rro"], {"ro", "noatime", *KEPT}, "ro"),  # recursive options replace nothing
        (["rbind", "rrw"], {"rw", "noatime", *KEPT}, "rw"),
        (["rbind", "rsuid"], {"rw", "nodev", "noexec", "noatime"}, "ro"),
    ],
)
def test_a_bind_mount_has_the_named_attributes_only(
    bundle: Bundle, options: list[str], there: set[str], below: str | None
) -> None:
    """The first attribute that is named replaces those of the source, as in runc and crun; bind and rbind add up."""
    (bundle.path / "source").mkdir()
    bundle.mount("/there", "bind", *options, source="source")
    bundle.process["args"] = ["cat", "/proc/self/mountinfo"]
    place = bundle.path / "source"
    script = f"mount -t tmpfs -o noatime,nosuid,nodev,noexec x {place} && mkdir {place}/sub && "
    script += f"mount -t tmpfs -o ro,nosuid y {place}/sub && exec $0 --root {bundle.path}/state run -b {bundle.path} n"
    done = bundle.in_mounts_of_its_own(script)
    assert done.returncode == 0, done
    found = {line.split()[4]: set(line.split()[5].split(",")) for line in done.stdout.splitlines()}
    assert found["/there"] == there
    assert (below in found["/there/sub"]) if below else "/there/sub" not in found


def test_a_read_only_dev_is_closed_at_the_end(bundle: Bundle) -> None:
    """A tmpfs with ``ro`` takes the devices and mount points below it first; /dev is read-only in the program."""
    for entry in bundle.config["mounts"]:
        entry["options"] += ["ro"] * (entry["destination"] == "/dev")
    bundle.mount("/memory", "tmpfs", "ro")
    bundle.mount("/memory/below", "tmpfs")
    bundle.mount("/twice", "tmpfs", "ro")
    bundle.mount("/twice", "tmpfs")
    script = (
        "for f in /dev /memory /memory/below /twice; do touch $f/new 2>/dev/null && echo $f; done; echo x >/dev/null"
    )
    assert bundle.says(f"{script}; test -c /dev/null && test -d /dev/pts && echo there").split() == [
        "/memory/below", "/twice", "there",
    ]  # fmt: skip


def test_a_source_inside_the_root_may_be_made_by_a_former_mount(bundle: Bundle) -> None:
    """It is found when its turn comes, and resolved inside the root: a link there does not lead to the host."""
    (bundle.path / "given/deep").mkdir(parents=True)
    (bundle.path / "given/deep/file").write_text("former")
    (bundle.path / "given/link").symlink_to("/etc")
    (bundle.root / "etc/which").write_text("the box's")
    bundle.mount("/first", "bind", "rbind", source="given")
    bundle.mount("/second", "bind", "rbind", "ro", source=str(bundle.root / "first/deep"))
    bundle.mount("/third", "bind", "bind", source="rootfs/first/link")
    assert bundle.says("cat /second/file /third/which; touch /second/x 2>/dev/null || echo ro") == "formerthe box'sro"
    bundle.mount("/fourth", "bind", "bind", source=str(bundle.root / "first/none"))
    bundle.refused("first/none")


def test_a_path_that_is_masked_twice_has_one_cover(bundle: Bundle) -> None:
    """Given twice, with a slash, or by a link to it; the same for read-only paths."""
    for name in ("folder", "fixed"):
        (bundle.root / name).mkdir()
    (bundle.root / "file").touch()
    (bundle.root / "link").symlink_to("file")
    bundle.config["linux"]["maskedPaths"] = ["/folder", "/folder/", "/folder", "/file", "/file", "/link"]
    bundle.config["linux"]["readonlyPaths"] = ["/fixed", "/fixed/", "/fixed"]
    places = [line.split()[4] for line in bundle.says("cat /proc/self/mountinfo").splitlines()]
    assert sorted(place for place in places if place in ("/folder", "/file", "/fixed")) == [
        "/file",
        "/fixed",
        "/folder",
    ]


@pytest.mark.parametrize(("option", "below"), [("ro", "rw"), ("rro", "ro")])
def test_a_recursive_option_applies_to_mounts_below(bundle: Bundle, option: str, below: str) -> None:
    """Rro makes the mounts below a bind mount read-only as well, ro only the top one."""
    (bundle.path / "deep/inner").mkdir(parents=True)
    bundle.mount("/deep", "bind", "rbind", option, source="deep")
    script = f"mount -t tmpfs x {bundle.path}/deep/inner && exec $0 --root {bundle.path}/state run -b {bundle.path} n"
    bundle.process["args"] = ["cat", "/proc/self/mountinfo"]
    done = bundle.in_mounts_of_its_own(script)
    assert done.returncode == 0, done
    found = {line.split()[4]: line.split()[5] for line in done.stdout.splitlines()}
    assert found["/deep"].split(",")[0] == "ro"
    assert found["/deep/inner"].split(",")[0] == below


@pytest.mark.parametrize(
    ("option", "shown"),
    [("private", ""), ("rprivate", ""), ("slave", "master:"), ("rslave", "master:"), ("shared", "shared:"),
     ("rshared", "shared:"), ("unbindable", "unbindable"), ("runbindable", "unbindable")],
)  # fmt: skip
def test_propagation_is_that_of_the_options(bundle: Bundle, option: str, shown: str) -> None:
    """Each of the four kinds of copy of a shared source is shown in mountinfo's optional fields."""
    (bundle.path / "source").mkdir()
    bundle.mount("/there", "bind", "rbind", option, source="source")
    bundle.process["args"] = ["cat", "/proc/self/mountinfo"]
    place = bundle.path / "source"
    script = f"mount -t tmpfs x {place} && mount --make-shared {place} && exec $0 --root {bundle.path}/state "
    done = bundle.in_mounts_of_its_own(f"{script} run -b {bundle.path} n")
    assert done.returncode == 0, done
    line = next(line for line in done.stdout.splitlines() if line.split()[4] == "/there")
    fields = " ".join(line.partition(" - ")[0].split()[6:])
    assert (shown in fields) if shown else not fields


@pytest.mark.parametrize(
    ("word", "shown"), [("shared", "shared:"), ("slave", "master:"), ("private", ""), ("unbindable", "unbindable")]
)
def test_the_root_has_the_requested_propagation(bundle: Bundle, word: str, shown: str) -> None:
    """RootfsPropagation is set on the container's root, whose own source is a shared mount."""
    bundle.linux["rootfsPropagation"] = word
    bundle.process["args"] = ["cat", "/proc/self/mountinfo"]
    path = bundle.path
    script = f"mount --bind {path} {path} && mount --make-shared {path} && exec $0 --root {path}/state run -b {path} n"
    done = bundle.in_mounts_of_its_own(script)
    assert done.returncode == 0, done
    line = next(line for line in done.stdout.splitlines() if line.split()[4] == "/")
    fields = " ".join(line.partition(" - ")[0].split()[6:])
    assert (shown in fields) if shown else not fields


def test_an_unknown_propagation_is_refused(bundle: Bundle) -> None:
    """Another value is an error that names the field."""
    bundle.linux["rootfsPropagation"] = "everywhere"
    bundle.refused("linux.rootfsPropagation", "'everywhere' is unknown")


def test_remount_changes_an_existing_mount(bundle: Bundle) -> None:
    """Remount gives other attributes, or another size, to a mount that an earlier entry made."""
    bundle.mount("/there", "tmpfs", "size=64k")
    bundle.mount("/there", "tmpfs", "remount", "ro", "nosuid", "size=128k")
    line = line_of(bundle, "/there")
    assert {"ro", "nosuid"} <= set(line.split()[1].split(","))
    assert "size=128k" in line
    bundle.mount("/missing", "tmpfs", "remount", "ro")
    bundle.refused("mount/missing")
    assert not (bundle.root / "missing").exists()


def test_a_tmpfs_has_the_same_mode_in_every_container_of_a_root(bundle: Bundle) -> None:
    """The place that the first container made does not change the second's; long options change nothing, too."""
    bundle.mount("/cache", "tmpfs")
    for _ in range(2):
        assert bundle.says("stat -c %a /cache") == "1777"
    (bundle.root / "there").mkdir(mode=0o750)
    bundle.mount("/there", "tmpfs", "size=" + "0" * 300 + "65536")
    assert bundle.says("stat -c %a /there") == "750"


def test_tmpcopyup_begins_with_the_covered_files(bundle: Bundle) -> None:
    """Files, links, owners and modes are copied, and changes stay in the tmpfs; without it, the tmpfs is empty."""
    data = bundle.root / "data"
    (data / "sub").mkdir(parents=True)
    (data / "sub/file").write_text("kept\n")
    os.chown(data / "sub/file", 3, 4)
    (data / "sub/file").chmod(0o640)
    (data / "link").symlink_to("sub/file")
    data.chmod(0o751)
    bundle.mount("/data", "tmpfs", "tmpcopyup", "noatime")
    said = bundle.says("cat /data/link; stat -c '%a %u:%g' /data/sub/file /data; echo new > /data/new")
    assert said.split("\n") == ["kept", "640 3:4", "751 0:0"]
    assert sorted(os.listdir(data)) == ["link", "sub"]
    bundle.config["mounts"][-1]["options"] = ["ro", "tmpcopyup"]
    assert bundle.says("cat /data/link; touch /data/new 2>/dev/null || echo no").split() == ["kept", "no"]
    bundle.config["mounts"][-1]["options"] = []
    assert bundle.says("ls /data; stat -c %a /data") == "751"


def test_an_idmapped_mount_has_the_owners_of_its_maps(bundle: Bundle) -> None:
    """A mount's own uidMappings and gidMappings change the owners of its files; without them they are the disk's."""
    source = bundle.path / "source"
    source.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 0, 0)
    maps = {"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
            "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 10}]}  # fmt: skip
    bundle.mount("/mapped", "bind", "bind", "idmap", source="source", **maps)
    bundle.mount("/plain", "bind", "bind", source="source")
    assert bundle.says("stat -c %u:%g /mapped/file /plain/file").split() == ["1000:2000", "0:0"]


def test_other_file_systems_are_mounted_by_their_names(bundle: Bundle) -> None:
    """The kernel's own types can be mounted anywhere, with their own options; an unknown one is an error."""
    bundle.mount("/ram", "ramfs", "mode=711")
    assert " - ramfs ramfs " in line_of(bundle, "/ram")
    bundle.mount("/none", "nosuchfs")
    bundle.refused("nosuchfs")


def test_options_may_be_as_long_as_mount_allows(bundle: Bundle) -> None:
    """A value of more than 255 bytes works like any other; options of a page are too long."""
    lower = [bundle.path / (letter * 200) for letter in "abcdefghijklmnopqrstuvwxyz"]
    for directory in lower:
        directory.mkdir()
    (lower[0] / "file").write_text("from below\n")
    bundle.mount("/both", "overlay", "ro", "noexec", f"lowerdir={lower[0]}:{lower[1]}", source="overlay")
    assert bundle.says("cat /both/file") == "from below"
    attributes = line_of(bundle, "/both").split()[1].split(",")
    assert {"ro", "noexec"} <= set(attributes)
    assert "nosuid" not in attributes
    bundle.config["mounts"][-1]["options"] = ["lowerdir=" + ":".join(map(str, [*lower, *lower]))]
    bundle.refused("overlay file system", "the kernel takes 4095")


def test_nothing_but_proc_may_cover_proc(bundle: Bundle) -> None:
    """A bind of a procfs on /proc counts, as for a shared pid namespace; a bind of anything else is refused."""
    bundle.config["mounts"][0] = {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}
    bundle.linux["namespaces"] = [{"type": kind} for kind in ("network", "ipc", "uts", "mount")]
    assert bundle.says("cat /proc/self/comm") == "cat"
    for destination in ("/proc", "//proc", "/tmp/../proc", "proc/"):
        bundle.config["mounts"][0].update(source="/tmp", destination=destination)
        bundle.refused("/proc")
    bundle.config["mounts"][0].update(source="/proc", destination="/proc")
    bundle.mount("/proc", "bind", "bind", source="/tmp")  # the second mount there
    bundle.refused("/proc")
    bundle.config["mounts"][-1]["source"] = str(bundle.root / "etc")  # of the root itself
    bundle.refused("/proc")


def test_only_its_own_control_group_is_seen(bundle: Bundle) -> None:
    """A mount of type cgroup shows the container's own group, also without a cgroup namespace, and no other."""
    bundle.mount("/sys/fs/cgroup", "cgroup", "ro", "nosuid")
    bundle.linux["resources"]["pids"] = {"limit": 77}
    (bundle.root / "bin/find").symlink_to("busybox")
    said = bundle.says("cat $(find /sys/fs/cgroup -name pids.max)")
    assert said == "77"
    group = bundle.linux["cgroupsPath"].strip("/").split("/")[0]
    assert group not in bundle.says("find /sys/fs/cgroup -type d")


def test_the_runtime_s_own_mounts_do_not_change(bundle: Bundle) -> None:
    """No mount of the container appears on the host."""
    before = Path("/proc/self/mountinfo").read_text()
    bundle.mount("/there", "tmpfs", "rshared")
    assert bundle.says("echo ran") == "ran"
    assert Path("/proc/self/mountinfo").read_text() == before
    assert subprocess.run(["mountpoint", "-q", str(bundle.root)], check=False).returncode != 0
