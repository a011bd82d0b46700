"""Checking a config.json of another program: unknown fields are ignored, an error in a known one names the field."""

from __future__ import annotations

import copy
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.oci_bundles import CONFIG
from tinybox.container.config import fields, validate
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def changed(path: str, value: object) -> dict[str, Any]:
    """Return the config with *value* at *path*, as in ``linux.devices[0].type``; missing parents are made."""
    config = copy.deepcopy(CONFIG)
    place: Any = config
    names = path.replace("[0]", ".[0]").split(".")
    last = names[-1]
    for name, below in itertools.pairwise(names):
        if name == "[0]":
            place.append({})
            place = place[-1]
        else:
            place = place.setdefault(name, [] if below == "[0]" else {})
    if last == "[0]":
        place.append(value)
    else:
        place[last] = value
    return config


def test_a_valid_config_is_returned_unchanged() -> None:
    """The control for all that follows: a config as podman writes it is accepted, whole."""
    assert validate.check(copy.deepcopy(CONFIG)) == CONFIG


@pytest.mark.parametrize("field", ["ociVersion", "process", "root"])
def test_a_missing_required_field_is_an_error(field: str) -> None:
    """A config without its version, its process or its root is an error with that name."""
    config = copy.deepcopy(CONFIG)
    del config[field]
    with pytest.raises(UsageError, match=f"^{field}: is missing"):
        validate.check(config)


@pytest.mark.parametrize("path", ["new", "process.new", "linux.new", "linux.resources.new", "hooks.new", "root.new"])
def test_unknown_properties_are_ignored(path: str) -> None:
    """An unknown property is ignored, whatever its value, at any depth; see "Extensibility" in config.md."""
    checked: Any = validate.check(changed(path, {"anything": [1, None]}))
    for name in path.split(".")[:-1]:
        checked = checked[name]
    assert "new" not in checked


def test_null_counts_as_missing() -> None:
    """Programs in Go write null for an empty list; that is no error, and no None is passed on."""
    checked = validate.check(changed("linux.devices", None))
    assert "devices" not in checked["linux"]


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("process.terminal", "yes", 'process.terminal: "yes" is not true or false'),
        ("process.user.uid", -1, "process.user.uid: -1 is not a whole number from 0 to 4294967294"),
        ("process.user.uid", 2**32 - 1, "process.user.uid: 4294967295 is not a whole number"),
        ("process.user.gid", 2**32 - 1, "process.user.gid: 4294967295 is not a whole number"),
        ("process.user.additionalGids", [2**32 - 1], r"additionalGids\[0\]: 4294967295 is not a whole number"),
        ("linux.devices[0]", {"path": "/dev/x", "type": "p", "uid": 2**32 - 1}, r"linux.devices\[0\].uid: 4294967295"),
        ("process.user.uid", True, "process.user.uid: true is not a whole number"),
        ("process.user.umask", 0o1000, "process.user.umask: is above"),
        ("process.args", [], "process.args: is missing or empty"),
        ("process.args", [""], r"process.args\[0\]: is empty"),
        ("process.args", "sh", 'process.args: "sh" is not a list'),
        ("process.args", ["sh", 1], r"process.args\[1\]: 1 is not a string"),
        ("process.cwd", "tmp", 'process.cwd: "tmp" is not an absolute path'),
        ("process.oomScoreAdj", 1001, "process.oomScoreAdj: 1001 is not from"),
        ("process.rlimits", [{"type": "RLIMIT_X", "soft": 1, "hard": 1}], r"rlimits\[0\].type: there is no limit"),
        ("process.rlimits", [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}], r"process.rlimits\[0\].soft: is above"),
        ("process.rlimits", [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}] * 2, r"rlimits\[1\]: .* given twice"),
        ("process.consoleSize", {"height": 1}, "process.consoleSize.width: is missing"),
        ("process.consoleSize", {"height": 2**16, "width": 1}, "process.consoleSize.height: 65536 is not a whole"),
        ("process.args", ["sh", "a\0b"], r"process.args\[1\]: .* is not a text"),
        ("process.env", ["A=\ud800"], r"process.env\[0\]: .* is not a text"),
        ("process.env", ["=x"], r"process.env\[0\]: '=x' has no name"),
        ("root.path", "root\0fs", "root.path: .* is not a text"),
        ("linux.maskedPaths", ["/proc/\0"], r"linux.maskedPaths\[0\]: .* is not a text"),
        ("hooks.poststop[0]", {"path": "/bin/true", "env": ["=x"]}, r"hooks.poststop\[0\].env\[0\]: '=x' has no name"),
        ("process.commandLine", "cmd", "process.commandLine: is for Windows"),
        ("ociVersion", "one", "ociVersion: one is not a version"),
        ("ociVersion", "2.0.0", "ociVersion: 2.0.0 is not supported"),
        ("root", {}, "root: is missing or empty|root.path: is missing or empty"),
        ("annotations", {"": "x"}, "annotations: a key is empty"),
        ("annotations", {"a": 1}, "annotations.a: 1 is not a string"),
        ("domainname", 1, "domainname: 1 is not a string"),
        ("hooks.poststop[0]", {"path": "bin/true"}, r"hooks.poststop\[0\].path: .* is not an absolute path"),
        ("hooks.poststop[0]", {"path": "/bin/true", "timeout": 0}, r"hooks.poststop\[0\].timeout: must be greater"),
        ("mounts", [{"destination": "/x", "options": ["bind"]}], r"mounts\[0\].source: is missing"),
        ("mounts", [{"destination": "/x"}], r"mounts\[0\].type: is missing"),
        (
            "mounts",
            [{"destination": "/x", "source": "/y", "options": ["bind", "idmap"]}],
            r"mounts\[0\]: idmap needs mappings",
        ),
        (
            "mounts",
            [{"destination": "/x", "source": "/y", "options": ["bind"], "uidMappings": [
                {"containerID": 0, "hostID": 1, "size": 1}
            ]}],
            r"mounts\[0\]: uidMappings and gidMappings belong together",
        ),
        ("windows", {}, "windows: this is Linux"),
        ("vm", {}, "vm: tinybox makes containers"),
        ("linux.namespaces", [{"type": "user"}, {"type": "uts"}], "linux.namespaces: root of a new user namespace"),
        ("linux.namespaces", [{"type": "mount"}, {"type": "mount"}], r"linux.namespaces\[1\]: mount is given twice"),
        ("linux.namespaces", [{"type": "mounts"}], r"linux.namespaces\[0\].type: \"mounts\" is not one of pid"),
        ("linux.namespaces", [{"type": "mount"}], "hostname: would be the host's"),
        ("linux.namespaces[0]", {"type": "user"}, "linux.uidMappings: is missing"),
        ("linux.namespaces[0]", {"type": "time", "path": "proc/1"}, r"linux.namespaces\[5\].path: .* absolute path"),
        (
            "linux.uidMappings",
            [{"containerID": 0, "hostID": 1, "size": 1}],
            "linux.uidMappings: there is no namespace of type user",
        ),
        ("linux.timeOffsets", {"monotonic": {"secs": 1}}, "linux.timeOffsets: there is no new namespace"),
        ("linux.devices[0]", {"path": "/dev/x", "type": "c", "major": 1}, r"linux.devices\[0\].minor: is missing"),
        ("linux.devices[0]", {"path": "/dev/x", "type": "d"}, r"linux.devices\[0\].type: \"d\" is not one of c"),
        ("linux.devices[0]", {"path": "/dev/x", "type": "c", "major": -1, "minor": 1}, r"\[0\].major: -1 is not"),
        ("linux.devices[0]", {"path": "/dev/x", "type": "c", "major": 1, "minor": 1 << 20}, r"\[0\].minor: 1048576 is"),
        ("linux.resources.devices[0]", {"allow": True, "major": 4096}, r"resources.devices\[1\].major: 4096 is not"),
        ("linux.resources.devices[0]", {"allow": True, "access": "x"}, r"devices\[1\].access: 'x' has letters"),
        ("linux.resources.cpu", {"quota": 5, "burst": 6}, "linux.resources.cpu.burst: 6 is above the quota 5"),
        ("linux.resources.memory.swappiness", 101, "memory.swappiness: is not from 0 to 100"),
        ("linux.resources.rdma", {"mlx": {}}, "linux.resources.rdma.mlx: limits nothing"),
        ("linux.resources.blockIO.leafWeight", 5, "blockIO.leafWeight: is for the scheduler CFQ"),
        (
            "linux.resources.blockIO.weightDevice[0]",
            {"major": 8, "minor": 0},
            r"linux.resources.blockIO.weightDevice\[0\].weight: is missing",
        ),
        ("linux.intelRdt", {"closID": "x/y"}, "linux.intelRdt.closID: 'x/y' is not the name"),
        ("linux.intelRdt", {"enableCMT": True}, "linux.intelRdt.enableCMT: was replaced"),
        ("linux.sysctl", {"kernel.panic": "1"}, "linux.sysctl.kernel.panic: is not a parameter of a namespace"),
        ("linux.sysctl", {"vm/swappiness": "1"}, "linux.sysctl.vm/swappiness: is not a parameter of a namespace"),
        ("linux.sysctl", {"user.max_net_namespaces": "1"}, "user.max_net_namespaces: would be the host's"),
        ("linux", {"sysctl": {"net.ipv4.ip_forward": "1"}, "namespaces": [{"type": "uts"}]}, "ip_forward: would be"),
        ("linux.netDevices", {"eth 0": {}}, "linux.netDevices.eth 0: 'eth 0' is not a name"),
        ("linux.netDevices", {"eth0": {"name": "%dx"}}, "linux.netDevices.eth0.name: '%dx' is no template"),
        ("linux.netDevices", {"eth0": {"name": "x"}, "x": {}}, "linux.netDevices: two devices would be called x"),
        ("linux.memoryPolicy", {"mode": "MPOL"}, "linux.memoryPolicy.mode: MPOL is not a mode"),
        ("linux.personality", {"domain": "LINUX64"}, 'linux.personality.domain: "LINUX64" is not one of'),
        ("linux.personality", {"domain": "LINUX", "flags": ["X"]}, "personality.flags: the specification defines"),
        ("linux.maskedPaths", ["proc"], r"linux.maskedPaths\[0\]: \"proc\" is not an absolute path"),
        ("linux.readonlyPaths", ["proc"], r"linux.readonlyPaths\[0\]: \"proc\" is not an absolute path"),
        (
            "linux.seccomp",
            {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"},
            "linux.seccomp.listenerMetadata: there is no listenerPath",
        ),
        (
            "linux.seccomp",
            {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]},
            "linux.seccomp.listenerPath: is missing",
        ),
    ],
)  # fmt: skip
def test_a_known_field_must_be_valid(path: str, value: object, complaint: str) -> None:
    """A value of the wrong type, a contradiction, or an unsupported value is an error that names the field."""
    with pytest.raises(UsageError, match=complaint):
        validate.check(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("process.user.umask", 0o777),
        ("process.user.uid", 2**32 - 2),
        ("process.user", {}),
        ("process.user", {"gid": 5, "username": "of Windows"}),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_BE"}),
        ("process.commandLine", ""),
        ("linux.netDevices", {}),
        ("linux.resources.blockIO.leafWeight", 0),
        ("process.consoleSize", {"height": 2**16 - 1, "width": 0}),
        ("process.env", ["A=\udcff\u00e9", "A==", "A"]),
        ("process.rlimits", [{"type": "RLIMIT_CPU", "soft": 1, "hard": 2**64 - 1}]),
        ("process.consoleSize", {"height": 1, "width": 1}),
        ("ociVersion", "1.3.0-rc.1+x"),
        ("hooks.poststop[0]", {"path": "/bin/true", "timeout": 1}),
        ("mounts[0]", {"destination": "x", "type": "none", "source": "y", "options": ["rbind"]}),
        ("linux.devices[0]", {"path": "/dev/x", "type": "p"}),
        ("linux.devices[0]", {"path": "/dev/x", "type": "c", "major": 4095, "minor": 1048575}),
        ("linux.resources.devices[0]", {"allow": True, "major": -1, "minor": -1}),
        ("linux.resources.cpu", {"quota": 6, "burst": 6}),
        ("linux.sysctl", {"net/ipv4/ip_forward": "1", "kernel.shmmax": "1", "fs.mqueue.msg_max": "9"}),
        ("linux", {"sysctl": {"net.x": "1"}, "namespaces": [{"type": "uts"}, {"type": "network", "path": "/n"}]}),
        ("linux.resources.cpu", {"quota": -1, "burst": 6}),
        ("linux.namespaces[0]", {"type": "time", "path": "/proc/1/ns/time"}),
    ],
)
def test_valid_values_pass(path: str, value: object) -> None:
    """The controls: the same fields with valid values."""
    validate.check(changed(path, value))


def test_the_process_of_an_exec_is_checked_alike() -> None:
    """A process for exec is checked as the process of a config.json is, with the same names of fields."""
    assert validate.check_process(copy.deepcopy(CONFIG["process"])) == CONFIG["process"]
    with pytest.raises(UsageError, match=r"process\.cwd: is missing"):
        validate.check_process({"args": ["sh"]})


@pytest.mark.parametrize(("text", "complaint"), [("{", "is not JSON"), ("[]", "is not an object"), (None, "no such")])
def test_a_file_that_is_no_config_is_an_error(tmp_path: Path, text: str | None, complaint: str) -> None:
    """Missing, not JSON, or no object: one UsageError, not a traceback."""
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(UsageError, match=complaint):
        validate.load(str(tmp_path))


def test_the_table_has_each_field_once_with_its_parents() -> None:
    """No path has two lines, and the parent of every path is an object or a list of objects."""
    kinds = {}
    for line in fields.TEXT.split("\n")[1:-1]:
        paths, kind = line.split()
        for path in validate._each(paths):
            assert path not in kinds
            kinds[path] = kind.rstrip("!")
    for path in kinds:
        parent, _, name = path.rpartition(".")
        if parent.endswith("[]"):
            assert kinds[parent.removesuffix("[]")] == "[object]", path
        elif parent:
            assert kinds[parent] == "object", path
        assert name


def test_tinybox_s_own_config_is_valid() -> None:
    """Every field that `tinybox run` can write is in the table: none of them is an unknown property."""
    from tests.unit.container.test_planner import SPEC

    checked = validate.check(json.loads(json.dumps(SPEC)))
    assert checked == SPEC
