"""A compose project: services as options of `run`, their order, their names; and errors, with their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tinybox.compose import members, project, resources
from tinybox.container.config.options import BY_NAME
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tinybox.compose.project import Project
    from tinybox.compose.reading.service import Service


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "UNSET"):
        monkeypatch.delenv(name, raising=False)


def loaded(folder: Path, text: str, name: str = "") -> Project:
    """Return the project of a compose file with this *text*."""
    path = folder / "compose.yaml"
    path.write_text(text)
    return project.load([str(path)], name)


def service(folder: Path, lines: str) -> Service:
    """Return the service `web` of the image `box` with these *lines* of YAML; a service `db` is beside it."""
    body = "".join(f"    {line}\n" for line in lines.splitlines())
    text = f"services:\n  web:\n    image: box\n{body}  db: {{image: box}}\nvolumes: {{data: }}\nnetworks: {{back: }}\n"
    return loaded(folder, text, "shop").services["web"]


@pytest.mark.parametrize(
    ("lines", "options"),
    [
        ("hostname: h\nuser: '5'\nworking_dir: /w", {"hostname": "h", "user": "5", "workdir": "/w"}),
        ("environment: {A: 1.10, B: 'x y', E: ''}", {"env": ["A=1.10", "B=x y", "E="]}),
        ("environment: [A=1, B=x=y]", {"env": ["A=1", "B=x=y"]}),
        ("environment: [UNSET]", {"env": []}),
        ("mem_limit: 32m\ncpus: 0.5\npids_limit: 9", {"memory": "32m", "cpus": "0.5", "pids_limit": "9"}),
        (
            "deploy: {resources: {limits: {memory: 32M, cpus: '0.5', pids: 9}}}",
            {"memory": "32M", "cpus": "0.5", "pids_limit": "9"},
        ),
        (
            "deploy: {resources: {reservations: {memory: 16M, cpus: '0.5'}}}\nmem_limit: 32m",
            {"memory_reservation": "16M", "memory": "32m"},
        ),
        ("mem_reservation: 16m", {"memory_reservation": "16m"}),
        ("cpu_quota: 5000\ncpu_period: 10000", {"cpu_quota": "5000", "cpu_period": "10000"}),
        (
            "group_add: [7, mail]\ndevice_cgroup_rules: ['c 1:* w']",
            {"group_add": ["7", "mail"], "device_cgroup_rule": ["c 1:* w"]},
        ),
        ("restart: no", {"restart": "no"}),
        ("deploy: {restart_policy: {condition: none}}\nrestart: always", {"restart": "no"}),
        ("deploy: {resources: {limits: {memory: 32M}}}\nmem_limit: 32m", {"memory": "32m"}),
        ("deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}", {"restart": "on-failure:3"}),
        (
            "deploy: {restart_policy: {delay: 1s500ms, window: 2m}}",
            {"restart": "always", "annotation": ["tinybox.restart-delay=1500", "tinybox.restart-window=120000"]},
        ),
        ("privileged: true\nread_only: yes\ntty: false", {"privileged": True, "read_only": True, "tty": False}),
        ("cap_add: [SYS_TIME]\ncap_drop: [ALL]", {"cap_add": ["SYS_TIME"], "cap_drop": ["ALL"]}),
        ("tmpfs: /run", {"tmpfs": ["/run"]}),
        ("tmpfs: ['/run:size=1m']", {"tmpfs": ["/run:size=1m"]}),
        ("labels: {a.b: c}", {"label": ["a.b=c"]}),
        ("sysctls: {net.ipv4.ip_forward: 1}", {"sysctl": ["net.ipv4.ip_forward=1"]}),
        ("ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}", {"ulimit": ["nofile=1:2", "nproc=3"]}),
        ("init: true", {"init": "forward"}),
        ("stop_signal: INT\nstop_grace_period: 1m30s", {"stop_signal": "INT", "stop_timeout": "90"}),
        ("logging: {options: {max-size: 1m}}", {"log_opt": ["max-size=1m"]}),
        ("healthcheck: {test: a b, interval: 2s}", {"health_cmd": "a b", "health_interval": "2s"}),
        ("healthcheck: {test: [CMD, a, b], retries: 2}", {"health_cmd": ["CMD", "a", "b"], "health_retries": "2"}),
        ("healthcheck: {test: [CMD-SHELL, a b]}", {"health_cmd": "a b"}),
        ("healthcheck: {test: x, start_interval: 1s}", {"health_cmd": "x", "health_start_interval": "1s"}),
        ("healthcheck: {disable: true}", {"no_healthcheck": True}),
        ("healthcheck: {test: [NONE]}", {"no_healthcheck": True}),
        ("ports: ['80', '8080:80/udp']", {"publish": ["80", "8080:80/udp"]}),
        ("ports: [{target: 80, published: 8080}]", {"publish": ["8080:80/tcp"]}),
        ("ports: [{target: 80, host_ip: 127.0.0.1, protocol: udp}]", {"publish": ["127.0.0.1::80/udp"]}),
        ("ports: [{target: 80, published: 8, host_ip: '::1'}]", {"publish": ["[::1]:8:80/tcp"]}),
        ("volumes: ['data:/d:ro', /anonymous]", {"volume": ["shop_data:/d:ro", "/anonymous"]}),
        (
            "volumes: [{type: volume, source: data, target: /d, read_only: true}]",
            {"mount": ["type=volume,target=/d,source=shop_data,readonly"]},
        ),
        (
            "volumes: [{type: volume, source: data, target: /d, volume: {nocopy: true}}]",
            {"mount": ["type=volume,target=/d,volume-nocopy,source=shop_data"]},
        ),
        ("volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m}}]", {"mount": ["type=tmpfs,target=/t,tmpfs-size=1m"]}),
        ("network_mode: none", {"network": ["none"]}),
        (
            "network_mode: service:db\npid: service:db",
            {"network": ["container:shop-db-1"], "pid": "container:shop-db-1"},
        ),
        ("extra_hosts: ['a:1.2.3.4', b=::1]\ndns: 9.9.9.9", {"add_host": ["a:1.2.3.4", "b:::1"], "dns": ["9.9.9.9"]}),
        ("entrypoint: [a, b]\ncommand: c d", {"entrypoint": "a"}),
        (
            "dns_search: example.org\ndns_opt: ['ndots:2']\nmac_address: 02:00:00:00:00:09",
            {"dns_search": ["example.org"], "dns_option": ["ndots:2"], "mac_address": "02:00:00:00:00:09"},
        ),
        ("expose: [80]\ncontainer_name: mine\nprofiles: [x]\npull_policy: never", {"expose": ["80"]}),
        (
            "blkio_config: {weight: 20, device_read_bps: [{path: a, rate: 1}], weight_device: [{path: a, weight: 9}]}",
            {
                "blkio_weight": "20",
                "device_read_bps": ["a:1"],
                "blkio_weight_device": ["a:9"],
            },
        ),
        (
            "devices: [/dev/null, {source: /dev/a, target: /dev/b, permissions: r}, {source: /dev/c}]",
            {"device": ["/dev/null", "/dev/a:/dev/b:r", "/dev/c:/dev/c"]},
        ),
        (
            "volumes: [{type: image, source: box, target: /i}, {type: tmpfs, target: /t, tmpfs: {mode: 0o1777}}]",
            {"mount": ["type=image,target=/i,source=box", "type=tmpfs,target=/t,tmpfs-mode=1777"]},
        ),
        (
            "volumes: [{type: volume, source: data, target: /d, volume: {subpath: a}}]",
            {"mount": ["type=volume,target=/d,volume-subpath=a,source=shop_data"]},
        ),
        ("extra_hosts: {a: [1.2.3.4, '::1'], b: 5.6.7.8}", {"add_host": ["a:1.2.3.4", "a:::1", "b:5.6.7.8"]}),
        ("isolation: default\nruntime: tinybox\nuse_api_socket: false", {}),
        (
            "volumes_from: [db, 'db:ro', 'container:other:ro', container:more]",
            {"volumes_from": ["shop-db-1", "shop-db-1:ro", "other:ro", "more"]},
        ),
    ],
)
def test_a_key_of_the_file_is_an_option_of_run(tmp_path: Path, lines: str, options: dict[str, Any]) -> None:
    """Keys of a service become options of `tinybox run`, and nothing else is added."""
    assert service(tmp_path, lines).options == options


def test_every_option_that_a_service_can_have_is_one_of_run(tmp_path: Path) -> None:
    """The table of keys names options that exist."""
    known = {option.key for option in BY_NAME.values()}
    lines = (
        "hostname: h\nprivileged: true\ncap_add: [KILL]\ntmpfs: /t\nmem_limit: 1g\nhealthcheck: {test: x}\nuts: host\n"
    )
    lines += (
        "ports: [80]\ndns: 1.1.1.1\nextra_hosts: [a=1.1.1.1]\nlogging: {options: {max-size: 1}}\nstop_grace_period: 1s"
    )
    assert set(service(tmp_path, lines).options) <= known


@pytest.mark.parametrize(
    ("word", "policy"),
    [("missing", "missing"), ("if_not_present", "missing"), ("never", "never"), ("always", "always")],
)
def test_the_policy_is_that_of_pull(tmp_path: Path, word: str, policy: str) -> None:
    """The values of `pull_policy` are those of --pull; without the key the policy is `missing`."""
    assert service(tmp_path, f"pull_policy: {word}").pull == policy
    assert service(tmp_path, "user: '1'").pull == "missing"


def test_the_source_of_volumes_from_comes_first(tmp_path: Path) -> None:
    """A service of this file is started before; a container of another project is not waited for."""
    assert service(tmp_path, "volumes_from: ['db:ro']").depends_on == {"db": "service_started"}
    assert service(tmp_path, "volumes_from: [container:db]").depends_on == {}


def test_entrypoint_and_command_are_joined_as_by_docker(tmp_path: Path) -> None:
    """A string is split as by a shell; further arguments of the entrypoint come before the command."""
    assert service(tmp_path, "command: sh -c 'a b'").arguments == ["sh", "-c", "a b"]
    assert service(tmp_path, "entrypoint: [a, b]\ncommand: [c]").arguments == ["b", "c"]
    bare = service(tmp_path, "entrypoint: []\ncommand: [c, d]")
    assert (bare.options["entrypoint"], bare.arguments) == ("c", ["d"])


def test_env_files_come_before_the_environment(tmp_path: Path) -> None:
    """If both set a variable, `environment` wins; a file that is not required may be missing."""
    (tmp_path / "a.env").write_text("A=file\nB=file\n")
    found = service(tmp_path, "environment: {A: own}\nenv_file: [a.env, {path: no.env, required: false}]")
    assert found.options["env"] == ["A=file", "B=file", "A=own"]


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """A missing directory is made, in the long form unless the file says no."""
    found = service(tmp_path, "volumes: ['./d:/d', {type: bind, source: e, target: /e}]")
    assert found.options["volume"] == [f"{tmp_path}/d:/d"]
    assert found.options["mount"] == [f"type=bind,target=/e,source={tmp_path}/e"]
    assert found.folders == [f"{tmp_path}/d", f"{tmp_path}/e"]
    lines = "volumes: [{type: bind, source: e, target: /e, bind: {create_host_path: false}}]"
    assert service(tmp_path, lines).folders == []


def test_networks_have_aliases_and_an_address(tmp_path: Path) -> None:
    """A service without networks is in `default`; one with networks is in these."""
    assert [join.network for join in service(tmp_path, "user: '1'").joins] == ["default"]
    (join,) = service(tmp_path, "networks: {back: {aliases: [a], ipv4_address: 10.0.0.2}}").joins
    assert (join.network, join.aliases, join.address) == ("back", ["a"], "10.0.0.2")
    shop = loaded(
        tmp_path,
        "services: {a: {image: b, networks: {n: {ipv6_address: 'fd00::9', mac_address: 02:00:00:00:00:09}}}}\n"
        "networks: {n: }\n",
        "shop",
    )
    wanted = {"network": ["name=shop_n,alias=a,ip6=fd00::9,mac-address=02:00:00:00:00:09"]}
    assert resources.options(shop, shop.services["a"]) == wanted


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        ("user: '1'\nportz: [80]", 5, "services.web.portz: is a key that tinybox does not know"),
        ("healthcheck: {\n  tset: x}", 5, "services.web.healthcheck.tset: is a key"),
        ("deploy: {replicas: many}", 4, "many is no number of containers"),
        ("deploy: {replicas: 2}\nscale: 3", 4, "conflicts with 3"),
        ("deploy: {resources: {limits: {pids: 5}}}\npids_limit: 6", 4, "conflicts with 6"),
        ("deploy: {resources: {reservations: {devices: []}}}", 4, "services.web.deploy.resources.reservations.devices"),
        ("depends_on: [nobody]", 4, "there is no service nobody"),
        ("depends_on: {db: {condition: bored}}", 4, "bored is no condition"),
        ("volumes: ['nothing:/x']", 4, "there is no volume nothing"),
        ("volumes_from: [nobody]", 4, "there is no service nobody"),
        ("pull_policy: monthly", 4, "monthly is no policy"),
        ("pull_policy: every_12x", 4, "'12x' is no time"),
        ("networks: [nowhere]", 4, "there is no network nowhere"),
        ("network_mode: weird", 4, "weird is no mode"),
        ("privileged: perhaps", 4, "neither true nor false"),
        ("stop_grace_period: soon", 4, "is not a time"),
        ("command: 'a", None, "is no YAML"),
        ('command: "a \'b"', 4, "cannot be split"),
        ("env_file: nowhere.env", None, "nowhere.env: No such file"),
        ("volumes: [{type: npipe, target: /x}]", 4, "npipe is no type"),
        ("logging: {driver: syslog}", 4, "no log driver of tinybox's"),
        ("network_mode: none\nnetworks: [back]", 4, "conflicts with networks"),
    ],
)
def test_an_error_in_a_service_is_named_with_its_line(tmp_path: Path, lines: str, line: int | None, says: str) -> None:
    """File, line, key, cause: all in one line."""
    with pytest.raises(UsageError) as caught:
        service(tmp_path, lines)
    assert says in str(caught.value)
    assert line is None or f"compose.yaml:{line}" in str(caught.value)


def test_build_says_how_an_image_is_made(tmp_path: Path) -> None:
    """The short and the long form; paths begin in the project's directory; the image has the service's name."""
    text = """services:
  a: {build: .}
  b:
    image: x:1
    build: {context: d, dockerfile: ../F, args: [A=1, OUT], target: t, labels: {k: v}, no_cache: true, tags: [y]}
    pull_policy: build
"""
    found = loaded(tmp_path, text).services
    short, long = found["a"].build, found["b"].build
    assert short is not None
    assert long is not None
    assert (found["a"].image.endswith("-a"), short.context, short.file) == (True, str(tmp_path), "")
    assert (found["b"].image, long.context, long.file) == ("x:1", f"{tmp_path}/d", f"{tmp_path}/F")
    assert (long.arguments, long.target, long.labels, long.tags) == ({"A": "1"}, "t", {"k": "v"}, ["y"])
    assert long.no_cache


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: {command: x}", "a: names no image"),
        ("a: {build: {ssh: default}}", "ssh"),
        ("a: {build: {dockerfile: F, dockerfile_inline: FROM x}}", "conflicts with dockerfile"),
        ("a: {image: x, pull_policy: build}", "build needs the key build"),
    ],
)
def test_wrong_builds(tmp_path: Path, text: str, says: str) -> None:
    """One line with the place."""
    with pytest.raises(UsageError, match=says):
        loaded(tmp_path, f"services:\n  {text}\n")


def chain(**after: list[str]) -> str:
    """Return a file of services, each with its dependencies."""
    return "services:\n" + "".join(f"  {name}: {{image: x, depends_on: {on}}}\n" for name, on in after.items())


def test_each_service_comes_after_its_dependencies(tmp_path: Path) -> None:
    """A request for one service adds its dependencies, and no others."""
    found = loaded(tmp_path, chain(a=["b", "c"], b=["d"], c=["d"], d=[], e=[]))
    assert [each.name for each in found.chosen([], [])] == ["d", "b", "c", "a", "e"]
    assert [each.name for each in found.chosen(["b"], [])] == ["d", "b"]
    with pytest.raises(UsageError, match="service z: no such service"):
        found.chosen(["z"], [])


def test_a_cycle_is_an_error(tmp_path: Path) -> None:
    """Services that wait for each other would wait for ever."""
    with pytest.raises(UsageError, match="a -> b -> c -> a"):
        loaded(tmp_path, chain(a=["b"], b=["c"], c=["a"]))


def test_profiles_enable_services(tmp_path: Path) -> None:
    """A service with profiles comes up if one of them, or the service itself, is requested."""
    found = loaded(tmp_path, "services: {a: {image: x}, b: {image: x, profiles: [p]}}\n")
    assert [each.name for each in found.chosen([], [])] == ["a"]
    assert [each.name for each in found.chosen([], ["p"])] == ["a", "b"]
    assert [each.name for each in found.chosen(["b"], [])] == ["b"]


def test_dotenv_may_set_files_and_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COMPOSE_FILE and COMPOSE_PROFILES work there as in the environment, which has priority; so do the options."""
    (tmp_path / "one.yaml").write_text(
        "services: {a: {image: x}, b: {image: x, profiles: [p]}, c: {image: x, profiles: [q]}}"
    )
    (tmp_path / "two.yaml").write_text("services: {a: {image: y}}")
    (tmp_path / ".env").write_text("COMPOSE_FILE=one.yaml:two.yaml\nCOMPOSE_PROFILES=p\n")
    monkeypatch.chdir(tmp_path)
    found = project.load([], "shop")
    assert found.services["a"].image == "y"
    assert [each.name for each in found.chosen([], [])] == ["a", "b"]
    assert [each.name for each in found.chosen([], ["q"])] == ["a", "c"]
    monkeypatch.setenv("COMPOSE_PROFILES", "q")
    assert [each.name for each in project.load([], "shop").chosen([], [])] == ["a", "c"]


def test_names_of_a_project_and_its_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-p, COMPOSE_PROJECT_NAME, the file's own, the folder's, in this order; its objects are named after it."""
    (tmp_path / "My Shop!").mkdir()
    text = "services: {a: {image: x}}\nvolumes: {v: , w: {name: own}, e: {external: true}}\n"
    assert loaded(tmp_path / "My Shop!", text).name == "myshop"
    found = loaded(tmp_path, f"name: said\n{text}")
    assert found.name == "said"
    assert {key: volume.name for key, volume in found.volumes.items()} == {"v": "said_v", "w": "own", "e": "e"}
    assert found.networks["default"].name == "said_default"
    assert found.services["a"].container == "said-a-1"
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "env")
    assert loaded(tmp_path, f"name: said\n{text}").name == "env"
    assert loaded(tmp_path, text, "given").name == "given"
    with pytest.raises(UsageError, match="is not allowed"):
        loaded(tmp_path, text, "Not Allowed")


def test_the_file_is_searched_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without -f it is the nearest one, with its override; if there is none, the error names -f."""
    (tmp_path / "compose.yaml").write_text("services: {a: {image: x}}\n")
    (tmp_path / "compose.override.yaml").write_text("services: {a: {user: me}}\n")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert project.load([], "").services["a"].options == {"user": "me"}
    monkeypatch.chdir("/")
    with pytest.raises(project.NoFileError, match="-f FILE"):
        project.load([], "")


def test_a_change_of_a_container_changes_its_hash(tmp_path: Path) -> None:
    """Another image, option, command or network is another hash; the same text has the same hash."""
    base = service(tmp_path, "user: '1'")
    digests = {
        members.digest(base, "i1", ["n"]),
        members.digest(base, "i2", ["n"]),
        members.digest(base, "i1", ["m"]),
        members.digest(service(tmp_path, "user: '2'"), "i1", ["n"]),
        members.digest(service(tmp_path, "user: '1'\ncommand: x"), "i1", ["n"]),
    }
    assert len(digests) == 5
    assert members.digest(service(tmp_path, "user: '1'"), "i1", ["n"]) in digests


def test_the_network_of_a_file(tmp_path: Path) -> None:
    """Its subnet and gateway, `internal`, IPv6, labels, MTU; a missing key sets nothing."""
    text = """
services: {a: {image: x, networks: [n, default]}}
networks:
  n:
    internal: true
    enable_ipv6: true
    labels: [a=b]
    driver_opts: {mtu: 1400}
    ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.7}, {subnet: "fd00:9::/64"}]}
"""
    found = loaded(tmp_path, text)
    wish = resources.network_options(found.networks["n"], found.networks["n"].labels)
    assert (wish.subnets, wish.gateways) == (["10.9.0.0/24", "fd00:9::/64"], ["10.9.0.7"])
    assert (wish.internal, wish.ipv6, wish.labels, wish.options) == (True, True, {"a": "b"}, {"mtu": "1400"})
    bare = resources.network_options(found.networks["default"], {})
    assert (bare.subnets, bare.gateways, bare.internal, bare.ipv6, bare.options) == ([], [], False, False, {})


def test_a_container_has_its_service_name_and_aliases(tmp_path: Path) -> None:
    """Each network of a service is requested with all fields; with network_mode there are none."""
    text = """
services:
  a: {image: x, networks: {default: , n: {aliases: [b, c], ipv4_address: 10.9.0.2}}}
  h: {image: x, network_mode: host}
networks: {n: {name: outside, external: true}}
"""
    found = loaded(tmp_path, text, "p")
    assert resources.options(found, found.services["a"]) == {
        "network": ["name=p_default,alias=a", "name=outside,alias=a,alias=b,alias=c,ip=10.9.0.2"]
    }
    assert resources.options(found, found.services["h"]) == {}
    assert [network.name for network in found.used_networks(found.services.values())] == ["p_default", "outside"]
