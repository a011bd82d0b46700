"""Sample values for each key of a compose file, and the file around one key; tools/compose_keys.py tries them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FACTS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "tests/data/compose_keys.json").read_text())

VALUES: dict[str, Any] = {
    "version": "3",
    "name": "other",
    "include": ["part.yaml"],
    "include.path": "part.yaml",
    "include.env_file": "a.env",
    "include.project_directory": "folder",
    "networks.external.name": "x",
    "networks.labels": {"a": "b"},
    "volumes.labels": {"a": "b"},
    "networks.driver": "macvlan",
    "networks.driver_opts": {"mtu": 1400},
    "networks.enable_ipv4": False,
    "networks.ipam": {"config": [{"subnet": "10.9.0.0/24"}]},
    "networks.ipam.config": [{"subnet": "10.9.0.0/24"}],
    "networks.ipam.config.aux_addresses": {"a": "10.9.0.7"},
    "networks.ipam.config.subnet": "10.9.0.0/24",
    "networks.ipam.config.ip_range": "10.9.0.0/25",
    "networks.ipam.config.gateway": "10.9.0.9",
    "networks.ipam.driver": "dhcp",
    "volumes.driver": "nfs",
    "secrets.environment": "WORD",
    "configs.environment": "WORD",
    "secrets.file": "other",
    "configs.file": "other",
    "services.attach": False,
    "services.build": ".",
    "services.build.additional_contexts": {"x": "."},
    "services.build.args": {"A": "1"},
    "services.build.ulimits": {"nofile": 9},
    "services.build.cache_from": ["x"],
    "services.build.labels": {"a": "b"},
    "services.build.tags": ["x"],
    "services.build.secrets": ["t"],
    "services.build.secrets.source": "t",
    "services.build.secrets.target": "x",
    "services.build.shm_size": "1m",
    "services.build.extra_hosts": ["a=1.2.3.4"],
    "services.build.platforms": ["linux/arm64"],
    "services.build.isolation": "hyperv",
    "services.blkio_config.weight": 20,
    "services.cgroup": "host",
    "services.configs": ["c"],
    "services.configs.source": "c",
    "services.secrets": ["t"],
    "services.secrets.source": "t",
    "services.depends_on": ["db"],
    "services.depends_on.condition": "service_healthy",
    "services.depends_on.required": False,
    "services.deploy.mode": "global",
    "services.deploy.replicas": 2,
    "services.deploy.resources.limits.cpus": "0.5",
    "services.deploy.resources.limits.memory": "32m",
    "services.deploy.resources.limits.pids": 9,
    "services.deploy.resources.reservations.memory": "32m",
    "services.deploy.restart_policy": {"condition": "any"},
    "services.deploy.restart_policy.condition": "on-failure",
    "services.deploy.restart_policy.delay": "1s",
    "services.deploy.restart_policy.max_attempts": 3,
    "services.deploy.restart_policy.window": "1s",
    "services.develop.watch.action": "restart",
    "services.develop.watch.exec": {"command": "true"},
    "services.develop.watch.path": "folder",
    "services.device_cgroup_rules": ["c 1:* w"],
    "services.devices": ["/dev/null:/dev/x"],
    "services.devices.source": "/dev/zero",
    "services.devices.target": "/dev/x",
    "services.devices.permissions": "r",
    "services.dns": "9.9.9.9",
    "services.env_file": "a.env",
    "services.env_file.path": "b.env",
    "services.env_file.format": "raw",
    "services.env_file.required": False,
    "services.environment": {"A": "1"},
    "services.expose": ["80"],
    "services.extends": "db",
    "services.extends.file": "more.yaml",
    "services.extends.service": "db",
    "services.external_links": ["x:y"],
    "services.extra_hosts": ["a=1.2.3.4"],
    "services.group_add": ["7"],
    "services.healthcheck": {"test": "true"},
    "services.healthcheck.disable": True,
    **{f"services.healthcheck.{key}": "2s" for key in ("interval", "start_interval", "start_period", "timeout")},
    "services.ipc": "host",
    "services.isolation": "hyperv",
    "services.label_file": "a.env",
    "services.links": ["db:other"],
    "services.logging": {"driver": "none"},
    "services.logging.driver": "none",
    "services.logging.options": {"max-size": "1m"},
    "services.mac_address": "02:00:00:00:00:09",
    "services.network_mode": "none",
    "services.networks": ["n"],
    "services.networks.aliases": ["a"],
    "services.networks.driver_opts": {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1"},
    "services.networks.ipv4_address": "10.9.0.5",
    "services.networks.ipv6_address": "fd00::5",
    "services.networks.link_local_ips": ["169.254.8.8"],
    "services.networks.mac_address": "02:00:00:00:00:09",
    "services.networks.priority": 5,
    "services.networks.gw_priority": 5,
    "services.oom_kill_disable": True,
    "services.pid": "host",
    "services.platform": "linux/arm64",
    "services.ports": ["80"],
    "services.ports.host_ip": "127.0.0.1",
    "services.ports.protocol": "udp",
    "services.ports.published": 8080,
    "services.ports.target": 81,
    "services.post_start": [{"command": "true"}],
    "services.pre_stop": [{"command": "true"}],
    "services.profiles": ["x"],
    "services.pull_policy": "always",
    "services.pull_refresh_after": "12h",
    "services.restart": "always",
    "services.scale": 2,
    "services.secrets.mode": "0440",
    "services.configs.mode": "0440",
    "services.security_opt": ["no-new-privileges"],
    "services.shm_size": "1m",
    "services.stop_grace_period": "1s",
    "services.stop_signal": "INT",
    "services.storage_opt": {"size": "1g"},
    "services.sysctls": {"net.ipv4.ip_forward": 1},
    "services.tmpfs": "/t",
    "services.ulimits": {"nofile": 9},
    "services.ulimits.soft": 7,
    "services.build.ulimits.soft": 7,
    "services.userns_mode": "private",
    "services.uts": "host",
    "services.volumes": ["v:/d"],
    "services.volumes.type": "tmpfs",
    "services.volumes.source": "v",
    "services.volumes.target": "/other",
    "services.volumes.bind": {"create_host_path": False},
    "services.volumes.bind.create_host_path": False,
    "services.volumes.bind.propagation": "rslave",
    "services.volumes.bind.recursive": "disabled",
    "services.volumes.bind.selinux": "z",
    "services.volumes.volume": {"nocopy": True},
    "services.volumes.volume.labels": {"a": "b"},
    "services.volumes.tmpfs": {"size": "1m"},
    "services.volumes.tmpfs.size": "1m",
    "services.volumes.tmpfs.mode": "0700",
    "services.volumes.image": {"subpath": "etc"},
    "services.volumes_from": ["db"],
    "volumes.driver_opts": {"type": "tmpfs", "device": "tmpfs"},
}
WITHIN: dict[str, dict[str, Any]] = {  # the other entries in a mapping, when one key of it is tried
    "services": {"image": "box"},
    "services.build": {"context": "."},
    "services.build.secrets": {"source": "t"},
    "services.build.ulimits": {"hard": 9},
    "services.ulimits": {"hard": 9},
    "services.configs": {"source": "c"},
    "services.secrets": {"source": "t"},
    "services.depends_on": {"condition": "service_started"},
    "services.deploy.restart_policy": {"condition": "on-failure"},
    "services.develop.watch": {"path": ".", "action": "rebuild"},
    "services.develop.watch.exec": {"command": "true"},
    "services.devices": {"source": "/dev/null"},
    "services.env_file": {"path": "a.env"},
    "services.extends": {"service": "db"},
    "services.healthcheck": {"test": "true"},
    "services.ports": {"target": 80},
    "services.post_start": {"command": "true"},
    "services.pre_stop": {"command": "true"},
    "services.volumes": {"type": "volume", "source": "v", "target": "/d"},
    **{f"services.blkio_config.device_{kind}": {"path": "/dev/x", "rate": 9}
       for kind in ("read_bps", "read_iops", "write_bps", "write_iops")},
    "services.blkio_config.weight_device": {"path": "/dev/x", "weight": 9},
    "include": {"path": "part.yaml"},
    "networks.ipam.config": {"subnet": "10.9.0.0/24"},
    "secrets": {"file": "a.env"},
    "configs": {"file": "a.env"},
    "models": {"model": "x"},
}  # fmt: skip
BESIDE: dict[str, dict[str, Any]] = {  # the same for one key that needs others
    "services.image": {"command": "x"},
    "services.pull_refresh_after": {"image": "box", "pull_policy": "refresh"},
    "services.build.dockerfile_inline": {"context": "."},
    "services.deploy.restart_policy.condition": {},
    "services.develop.watch.target": {"path": ".", "action": "sync"},
    "services.develop.watch.exec": {"path": ".", "action": "sync+exec", "target": "/x"},
    "services.env_file.required": {"path": "missing.env"},
    "services.volumes.type": {"target": "/d"},
    "services.volumes.bind": {"type": "bind", "source": "/tmp", "target": "/d"},
    "services.volumes.tmpfs": {"type": "tmpfs", "target": "/d"},
    "services.volumes.image": {"type": "image", "source": "box", "target": "/d"},
    **{key: {} for key in ("secrets.environment", "secrets.external", "configs.environment", "configs.content",
                           "configs.external")},
}  # fmt: skip
LISTS = set(
    "include services.volumes services.ports services.devices services.env_file services.secrets services.configs "
    "services.build.secrets services.post_start services.pre_stop services.develop.watch services.gpus "
    "services.blkio_config.device_read_bps services.blkio_config.device_read_iops "
    "services.blkio_config.device_write_bps services.blkio_config.device_write_iops "
    "services.blkio_config.weight_device networks.ipam.config services.deploy.placement.preferences "
    "services.deploy.resources.reservations.devices services.deploy.resources.reservations.generic_resources".split()
)
NAMED = {
    "services": "web",
    "networks": "n",
    "volumes": "v",
    "secrets": "s",
    "configs": "c",
    "models": "m",
    "services.networks": "n",
    "services.depends_on": "db",
    "services.ulimits": "nofile",
    "services.build.ulimits": "nofile",
    "services.models": "m",
}
FILES = {
    "a.env": "A='1'\n",
    "b.env": "B=2\n",
    "other": "x\n",
    "folder/x": "",
    ".env": "WORD=word\n",
    "more.yaml": "services: {db: {image: more}}\n",
    "part.yaml": "services: {part: {image: part, command: '${A-none}', volumes: ['./x:/x']}}\n",
}


def document(key: str, *, is_there: bool) -> dict[str, Any]:
    """Return a compose file with *key*, or without it but otherwise the same."""
    content: Any = value(key)
    while key:
        parent, _, leaf = key.rpartition(".")
        beside = BESIDE.get(key, WITHIN.get(parent, {})) if parent else {}
        content = {**beside, leaf: content}
        if not is_there:
            del content[leaf]
            is_there = True
        if parent in NAMED:
            content = {NAMED[parent]: content}
        elif parent in LISTS:
            content = [content]
        key = parent
    base: dict[str, dict[str, Any]] = {
        "services": {"db": {"image": "db", "networks": ["n"]}},
        "networks": {"n": None},
        "volumes": {"v": None},
        "secrets": {"t": {"environment": "WORD"}},
        "configs": {"c": {"content": "text"}},
    }
    joined = {name: base[name] | own if isinstance(own, dict) and name in base else own
              for name, own in content.items()}  # fmt: skip
    return base | joined


def value(key: str) -> Any:
    """Return a value of *key* that differs from its default."""
    if key in VALUES:
        return VALUES[key]
    kinds = FACTS["keys"][key]
    for kind, value in (
        ("boolean", True),
        ("string", "5"),
        ("integer", 5),
        ("number", 5),
        ("array", []),
        ("object", {}),
    ):
        if kind in kinds:
            return value
    return None
