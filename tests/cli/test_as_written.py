"""inspect shows what the user wrote: HostConfig has the options' own texts, Mounts has docker's three forms."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.boxes import new_name
from tests.support.compose_projects import project
from tests.support.detached_boxes import life, stdout_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command
    from tests.support.detached_boxes import Life

pytestmark = pytest.mark.root

WITHOUT: dict[str, Any] = {
    "Binds": None, "Mounts": None, "Tmpfs": {}, "CapAdd": None, "CapDrop": None, "SecurityOpt": None, "Devices": [],
    "DeviceCgroupRules": None, "GroupAdd": None, "VolumesFrom": None, "PortBindings": {}, "PublishAllPorts": False,
    "PidMode": "", "IpcMode": "private", "UTSMode": "", "CgroupnsMode": "private", "UsernsMode": "",
    "NetworkMode": "none", "NanoCpus": 0, "CpuQuota": 0, "CpuPeriod": 0, "BlkioDeviceReadBps": None,
    "LogConfig": {"Type": "json-file", "Config": {}}, "Privileged": False,
}  # fmt: skip
WRITTEN: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    ((), {}),
    (("-v", "/usr:/a", "-v", "named:/b:ro", "-v", "/c"), {"Binds": ["/usr:/a", "named:/b:ro"]}),
    (("--tmpfs", "/t:size=1m,mode=1777", "--tmpfs", "/u"), {"Tmpfs": {"/t": "size=1m,mode=1777", "/u": ""}}),
    (
        ("--mount", "type=bind,src=/usr,dst=/a,readonly,bind-propagation=rslave", "--mount", "source=named,target=/b"),
        {
            "Mounts": [
                {"Type": "bind", "Target": "/a", "Source": "/usr", "ReadOnly": True,
                 "BindOptions": {"Propagation": "rslave"}},
                {"Type": "volume", "Target": "/b", "Source": "named"},
            ]
        },
    ),
    (
        ("--mount", "type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=1770"),
        {"Mounts": [{"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}}]},
    ),
    (
        ("--cap-add", "sys_time", "--cap-add", "NET_ADMIN", "--cap-drop", "all"),
        {"CapAdd": ["CAP_NET_ADMIN", "CAP_SYS_TIME"], "CapDrop": ["ALL"]},
    ),
    (("--cap-add", "ALL"), {"CapAdd": ["ALL"]}),
    (("--privileged",), {"Privileged": True}),
    (("--security-opt", "seccomp=unconfined"), {"SecurityOpt": ["seccomp=unconfined"]}),
    (
        ("--device", "/dev/zero:/dev/z:r", "--device", "/dev/full", "--device-cgroup-rule", "c 1:3 r"),
        {
            "Devices": [
                {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/z", "CgroupPermissions": "r"},
                {"PathOnHost": "/dev/full", "PathInContainer": "/dev/full", "CgroupPermissions": "rwm"},
            ],
            "DeviceCgroupRules": ["c 1:3 r"],
        },
    ),
    (("--pid", "host", "--uts", "host", "--ipc", "host"), {"PidMode": "host", "UTSMode": "host", "IpcMode": "host"}),
    (("--pid", "private", "--uts", "private"), {}),
    (("--cgroupns", "host", "--userns", "host"), {"CgroupnsMode": "host", "UsernsMode": "host"}),
    (("--userns", "private", "--group-add", "7"), {"UsernsMode": "private", "GroupAdd": ["7"]}),
    (("--network", "host"), {"NetworkMode": "host"}),
    (("--cpus", "0.5"), {"NanoCpus": 500_000_000}),
    (("--cpu-quota", "50000", "--cpu-period", "200000"), {"CpuQuota": 50_000, "CpuPeriod": 200_000}),
    (
        ("--log-opt", "max-size=1m", "--log-opt", "max-file=2"),
        {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}}},
    ),
    (
        ("--network", "bridge", "-p", "127.0.0.1:8080:80", "-p", "53/udp", "-P"),
        {
            "NetworkMode": "bridge",
            "PortBindings": {
                "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
                "53/udp": [{"HostIp": "", "HostPort": ""}],
            },
            "PublishAllPorts": True,
        },
    ),
]  # fmt: skip


def inspected(box: Life) -> dict[str, Any]:
    """Return what `inspect` prints of a container."""
    [known] = json.loads(stdout_of(box.tinybox, "inspect", box.name))
    found: dict[str, Any] = known
    return found


@pytest.mark.parametrize(("options", "shown"), WRITTEN, ids=[" ".join(words) or "none" for words, _ in WRITTEN])
def test_host_config_has_the_options(tinybox: Command, options: tuple[str, ...], shown: dict[str, Any]) -> None:
    """Each option is shown as it was written; an option that was not given has docker's default."""
    try:
        with life(tinybox, *options, "busybox", "true", verb="create") as box:
            known = inspected(box)["HostConfig"]
            assert {key: known[key] for key in WITHOUT} == WITHOUT | shown
    finally:
        tinybox("volume", "rm", "-f", "named")


def test_another_container_s_namespaces(tinybox: Command) -> None:
    """``container:NAME`` is shown, and not a path in /proc."""
    with life(tinybox, "busybox", "sleep", "600") as other:
        mode = f"container:{other.name}"
        with life(tinybox, "--pid", mode, "--ipc", mode, "--network", mode, "busybox", "true", verb="create") as box:
            known = inspected(box)["HostConfig"]
            assert [known[f"{kind}Mode"] for kind in ("Pid", "Ipc", "Network")] == [mode] * 3


def test_mounts_have_docker_s_three_forms(tinybox: Command, tmp_path: Path) -> None:
    """A volume has a name, a driver and its path; a bind mount a propagation; --tmpfs is not listed, as with docker."""
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    words: tuple[str, ...] = (
        "-v",
        "named:/b:ro",
        "-v",
        f"{tmp_path}:/a/:ro,rslave",
        "-v",
        "/c",
        "--mount",
        "type=tmpfs,dst=/m",
    )
    words = (*words, "--tmpfs", "/t", "-v", f"{tmp_path}/hosts:/etc/hosts", "-u", "5")
    try:
        with life(tinybox, *words, "busybox", "true", verb="create") as box:
            known = inspected(box)
            mounts = {mount.pop("Destination"): mount for mount in known["Mounts"]}
            assert not [mount for mount in mounts.values() if mount["Type"] != "volume" and "Name" in mount]
            anonymous = mounts["/c"]["Name"]
            volume = {"Type": "volume", "Driver": "local", "Propagation": ""}
            of = f"{tinybox.root}/volumes/{{}}/_data".format
            assert mounts == {
                "/b": {**volume, "Name": "named", "Source": of("named"), "Mode": "ro", "RW": False},
                "/c": {**volume, "Name": anonymous, "Source": of(anonymous), "Mode": "", "RW": True},
                "/a": {"Type": "bind", "Source": str(tmp_path), "Mode": "ro,rslave", "RW": False,
                       "Propagation": "rslave"},
                "/m": {"Type": "tmpfs", "Source": "", "Mode": "", "RW": True, "Propagation": ""},
                "/etc/hosts": {
                    "Type": "bind", "Source": f"{tmp_path}/hosts", "Mode": "", "RW": True, "Propagation": "rprivate",
                },
            }  # fmt: skip
            assert known["Config"]["Volumes"] == {"/c": {}}
            assert known["Config"]["User"] == "5"
            row = json.loads(stdout_of(tinybox, "ps", "-a", "--filter", f"name={box.name}", "--format", "json"))
            assert row["LocalVolumes"] == "2"
            with life(tinybox, "--volumes-from", box.name, "busybox", "true", verb="create") as second:
                known = inspected(second)
                assert known["HostConfig"]["VolumesFrom"] == [box.name]
                assert known["HostConfig"]["Binds"] is None
                assert {mount["Destination"] for mount in known["Mounts"]} >= {"/a", "/b", "/c"}
    finally:
        tinybox("volume", "rm", "-f", "named")


def test_a_relative_path_is_made_absolute(tinybox: Command, tmp_path: Path) -> None:
    """As docker's client does: another command may stand in another directory."""
    name = new_name()
    words = [tinybox.path, "create", "--name", name, "-v", "./:/a", "busybox", "true"]
    subprocess.run(words, env=tinybox.environment, cwd=tmp_path, check=True, capture_output=True)
    assert stdout_of(tinybox, "inspect", "-f", "{{.HostConfig.Binds}}", name) == f"[{tmp_path}:/a]\n"
    tinybox("rm", name)


def test_update_and_compose(tinybox: Command, tmp_path: Path) -> None:
    """Limits are those of now; a service of compose has its binds, and not the files of tinybox."""
    with life(tinybox, "--cpus", "0.5", "-v", "/usr:/u", "busybox", "true", verb="create") as box:
        stdout_of(tinybox, "update", "--cpus", "0.25", box.name)
        known = inspected(box)["HostConfig"]
        assert (known["NanoCpus"], known["CpuQuota"], known["Binds"]) == (250_000_000, 0, ["/usr:/u"])
    one = "image: busybox, network_mode: none, stop_signal: KILL, command: sleep 99, volumes: ['.:/a:ro', 'data:/d']"
    with project(tinybox, tmp_path, f"services: {{one: {{{one}}}}}\nvolumes: {{data: {{}}}}\n", new_name()) as shop:
        shop.up()
        known = inspected(shop.life("one"))
        assert known["HostConfig"]["Binds"] == [f"{tmp_path}:/a:ro", f"{shop.name}_data:/d"]
