"""tinybox's files are valid by the specification's JSON schemas, and its table of fields has all their properties."""

from __future__ import annotations

import copy
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.oci_bundles import CONFIG, Bundle, bundle
from tests.support.oci_schemas import faults, properties
from tinybox.container.config import fields, validate
from tinybox.container.records import spec
from tinybox.errors import UsageError
from tinybox.isolation import memory_policy, mounts
from tinybox.isolation.seccomp import compiler, filters

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

__all__ = ["bundle"]

pytestmark = pytest.mark.root

OPTIONS = """
    --memory 64m --memory-swap 128m --cpus 0.5 --cpu-shares 512 --pids-limit 20 --ulimit nofile=99
    --cap-add NET_ADMIN --user 5:6 --device /dev/null --tmpfs /t:size=1m --volume /tmp:/x:ro
    --sysctl net.ipv4.ip_forward=1 --oom-score-adj 5 --read-only --hostname h --label a=b --restart no
    --security-opt no-new-privileges --env A=b
""".split()
IGNORED = {"process.user.username"}  # of Windows; runc and crun ignore it, too
FIELDS = [path for line in fields.TEXT.split("\n")[1:-1] for path in validate._each(line.split()[0])]


@pytest.mark.parametrize("options", [[], OPTIONS, ["--privileged", "--init=none"], ["--userns", "private"]])
def test_the_config_is_valid(tinybox: Command, tmp_path: Path, options: list[str]) -> None:
    """The bundle of `tinybox run`, with any options, passes the schema, and tinybox's own check."""
    done = tinybox("run", *options, "--bundle", str(tmp_path / "b"), "busybox", "true")
    assert done.returncode == 0, done
    config = json.loads((tmp_path / "b/config.json").read_text())
    assert faults("config-schema.json", config) == []
    assert validate.check(config) == config


def test_the_example_is_valid(bundle: Bundle) -> None:
    """The output of `tinybox-oci spec` passes, too."""
    folder = bundle.path / "new"
    folder.mkdir()
    done = bundle.oci("spec", "--bundle", str(folder))
    assert done.returncode == 0, done
    assert faults("config-schema.json", json.loads((folder / "config.json").read_text())) == []


def test_the_state_is_valid(bundle: Bundle) -> None:
    """`tinybox-oci state` prints an object of the schema in each of a container's states."""
    bundle.process["args"] = ["sleep", "60"]
    bundle.create()
    statuses = []
    for verb, then in (("start", "running"), ("kill", "stopped"), ("", "")):
        state = json.loads(bundle.oci("state", bundle.name).stdout)
        statuses.append(state["status"])
        assert faults("state-schema.json", state) == []
        if verb:
            bundle.oci(verb, bundle.name, *["KILL"] * (verb == "kill"))
            bundle.wait_for(then)
    assert statuses == ["created", "running", "stopped"]


@pytest.mark.parametrize(("field", "value"), [("ociVersion", 1), ("root", {}), ("mounts", [{}]), ("hostname", 5)])
def test_the_schema_finds_errors(field: str, value: object) -> None:
    """The control: a wrong config does not pass the schema."""
    assert faults("config-schema.json", CONFIG) == []
    assert faults("config-schema.json", {**copy.deepcopy(CONFIG), field: value}) != []
    assert faults("state-schema.json", {"ociVersion": "1.0.0", "id": "x", "status": "asleep", "bundle": "/"}) != []


def test_every_property_of_the_schema_is_in_the_table() -> None:
    """Tinybox knows every field of the specification: it carries it out, refuses it by name, or ignores a few."""
    refused = tuple(fields.REFUSED)
    theirs = properties("config-schema.json")
    missing = {path for path in theirs - set(FIELDS) - IGNORED if not path.startswith(refused)}
    assert len(theirs) > 150
    assert missing == set()


def test_the_versions_of_features_are_accepted(bundle: Bundle) -> None:
    """A config.json of the oldest and of the newest version runs; one of version 2 does not."""
    told = json.loads(bundle.oci("features").stdout)
    versions = [told["ociVersionMin"], told["ociVersionMax"]]
    assert [int(number) for number in versions[0].split(".")] <= [int(number) for number in versions[1].split(".")]
    for version in versions:
        bundle.config["ociVersion"] = version
        assert bundle.says("echo ran") == "ran"
    bundle.config["ociVersion"] = "2.0.0"
    bundle.refused("ociVersion", "2.0.0")


def test_the_lists_of_features_are_recognized(bundle: Bundle) -> None:
    """Each action, operator, architecture and flag may be in a profile, each capability in a set; others may not."""
    told = json.loads(bundle.oci("features").stdout)["linux"]
    tests = [{"index": 0, "value": 1, "valueTwo": 1, "op": operator} for operator in told["seccomp"]["operators"]]
    calls: list[dict[str, Any]] = [{"names": ["kcmp"], "action": action} for action in told["seccomp"]["actions"]]
    calls += [{"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "args": [test]} for test in tests]
    ours = set(compiler.TABLES[os.uname().machine])
    for arch in set(told["seccomp"]["archs"]) & ours:
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [arch], "syscalls": calls}
        assert compiler.compile_profile(profile, os.uname().machine)
    assert ours <= set(told["seccomp"]["archs"])
    for flag in told["seccomp"]["supportedFlags"]:
        assert filters.flags_of({"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag]})
    with pytest.raises(UsageError, match="SCMP_ACT_NOSUCH"):
        compiler.compile_profile({"defaultAction": "SCMP_ACT_NOSUCH"}, os.uname().machine)
    with pytest.raises(UsageError, match="SECCOMP_FILTER_FLAG_NOSUCH"):
        filters.flags_of({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NOSUCH"]})
    bundle.process["capabilities"] = {"bounding": [*told["capabilities"], "CAP_NOSUCH"]}
    warned = bundle.run("true").stderr
    assert warned.count("there is no such capability") == 1
    assert "CAP_NOSUCH: there is no such capability" in warned


def test_features_follow_the_specification(bundle: Bundle) -> None:
    """`features` has the properties of features.md, and their values are those of the engine."""
    told = json.loads(bundle.oci("features").stdout)
    words = "ociVersionMin ociVersionMax hooks mountOptions linux annotations potentiallyUnsafeConfigAnnotations"
    assert set(told) == set(words.split())
    assert all(name.startswith(tuple(told["potentiallyUnsafeConfigAnnotations"])) for name in (spec.LAYERS, spec.INIT))
    assert told["ociVersionMin"].count(".") == told["ociVersionMax"].count(".") == 2
    assert told["hooks"] == [
        path.split(".")[1] for path in FIELDS if path.startswith("hooks.") and path.count(".") == 1
    ]
    linux = told["linux"]
    parts = "namespaces capabilities cgroup seccomp apparmor selinux memoryPolicy intelRdt mountExtensions netDevices"
    assert set(linux) == set(parts.split())
    assert set(linux["namespaces"]) == {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}
    assert "CAP_SYS_ADMIN" in linux["capabilities"]
    groups = {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": True}
    assert linux["cgroup"] == groups  # abilities of the program, whatever the host
    enabled = {name: linux[name]["enabled"] for name in ("apparmor", "selinux", "intelRdt", "seccomp", "netDevices")}
    assert enabled == dict.fromkeys(enabled, True)
    assert linux["intelRdt"] == {"enabled": True, "schemata": True, "monitoring": True}
    for mode in linux["memoryPolicy"]["modes"]:
        assert memory_policy.values({"mode": mode, "flags": linux["memoryPolicy"]["flags"]})[0] & 7 < 7
    assert linux["mountExtensions"] == {"idmap": {"enabled": True}}
    assert set(linux["seccomp"]) == {"enabled", "actions", "operators", "archs", "knownFlags", "supportedFlags"}
    assert {"SCMP_ACT_NOTIFY"} <= set(linux["seccomp"]["actions"])
    assert {"ro", "rro", "rshared", "remount", "tmpcopyup", "ridmap", "lazytime"} <= set(told["mountOptions"])
    for name in told["mountOptions"]:
        options = mounts.Options([name])
        assert name in ("sync", "async", "dirsync", "lazytime", "nolazytime") or not options.data, name
    assert mounts.Options(["nosuchoption"]).data == ["nosuchoption"]
