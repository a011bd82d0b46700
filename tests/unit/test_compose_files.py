"""Several files make one compose project: `extends`, `include`, their relative paths; and files for a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinybox.compose import members, project, resources
from tinybox.compose.canonical import Canonical
from tinybox.compose.reading import document, loading
from tinybox.compose.reading.relative_paths import anchored
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from tinybox.compose.project import Project
    from tinybox.compose.reading.service import Service


CIRCLE = """
services:
  a: {build: {additional_contexts: ["x=service:b"]}}
  b: {build: {additional_contexts: ["x=service:a"]}}
"""
SAMPLES = Path(__file__).parents[1] / "data/compose"


def load(folder: Path, files: dict[str, str]) -> Project:
    """Write *files*, path to text, and load the project of compose.yaml."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return project.load([str(folder / "compose.yaml")], "shop")


def one(folder: Path, text: str) -> Project:
    """Load a project of one file with this *text*."""
    return load(folder, {"compose.yaml": text})


def test_a_service_extends_another_one(tmp_path: Path) -> None:
    """Mappings are joined, lists grow, other values are replaced; the other service stays as it is."""
    text = """
services:
  base: {image: box, command: a, environment: {A: 1, B: 1}, cap_add: [SYS_TIME], healthcheck: {test: [CMD, x]}}
  web: {extends: base, command: b, environment: [B=2, C=2], cap_add: [KILL], healthcheck: {test: [CMD, y]}}
  more: {extends: {service: web}, image: other}
"""
    found = one(tmp_path, text).services
    assert (found["web"].image, found["web"].command) == ("box", ["b"])
    assert found["web"].options["env"] == ["A=1", "B=2", "C=2"]
    assert found["web"].options["cap_add"] == ["SYS_TIME", "KILL"]
    assert found["web"].options["health_cmd"] == ["CMD", "y"]
    assert (found["more"].image, found["more"].command) == ("other", ["b"])
    assert (found["base"].command, found["base"].options["env"]) == (["a"], ["A=1", "B=1"])


def test_short_and_long_forms_are_merged(tmp_path: Path) -> None:
    """A context and its options, names and mappings, one secret or device at one place, one log driver's options."""
    text = """
services:
  base:
    build: ./dir
    labels: [a=1]
    annotations: {x: 1}
    secrets: [s, {source: t, target: u}]
    devices: ["/dev/null:/dev/a", "/dev/zero:/dev/b"]
    logging: {driver: json-file, options: {max-size: 1m}}
    env_file: a.env
  web:
    extends: base
    build: {args: [A=1]}
    labels: {b: 2}
    annotations: [y=2]
    secrets: [{source: s, mode: 0400}, {source: s, target: u}]
    devices: [{source: /dev/full, target: /dev/b}]
    logging: {driver: local}
    env_file: [b.env]
secrets: {s: {file: s}, t: {file: t}}
"""
    (tmp_path / "a.env").write_text("A=a\nB=a\n")
    (tmp_path / "b.env").write_text("B=b\n")
    web = one(tmp_path, text).services["web"]
    assert web.build is not None
    assert (web.build.context, web.build.arguments) == (f"{tmp_path}/dir", {"A": "1"})
    assert (web.options["label"], web.options["annotation"]) == (["a=1", "b=2"], ["x=1", "y=2"])
    assert [value.split(",")[2] for value in web.options["mount"]] == ["target=/run/secrets/s", "target=/run/secrets/u"]
    assert web.options["device"] == ["/dev/null:/dev/a", "/dev/full:/dev/b"]
    assert (web.options["log_driver"], web.options.get("log_opt")) == ("local", None)
    assert web.options["env"] == ["A=a", "B=a", "B=b"]


def test_paths_of_an_extended_file_begin_in_its_directory(tmp_path: Path) -> None:
    """Build context, mounts, files of variables; and a file that extends a third one names it from there."""
    found = load(
        tmp_path,
        {
            "compose.yaml": "services: {web: {extends: {file: low/one.yaml, service: app}, volumes: ['./m:/m']}}",
            "low/one.yaml": "services: {app: {extends: {file: in/two.yaml, service: app}, build: ., env_file: e.env}}",
            "low/in/two.yaml": "services: {app: {volumes: ['./x:/x', /v, {type: bind, source: y, target: /y}]}}",
            "low/e.env": "A=1\n",
        },
    )
    web = found.services["web"]
    assert web.build is not None
    assert web.build.context == f"{tmp_path}/low"
    assert web.options["env"] == ["A=1"]
    assert web.options["volume"] == [f"{tmp_path}/low/in/x:/x", "/v", f"{tmp_path}/m:/m"]
    assert f"source={tmp_path}/low/in/y" in web.options["mount"][0]


def test_included_files_are_a_project_of_their_own(tmp_path: Path) -> None:
    """They have their directory and .env, which does not override this project's variables; all is in one project."""
    found = load(
        tmp_path,
        {
            ".env": "BOTH=here\n",
            "compose.yaml": "include: [low/part.yaml]\nservices: {web: {image: box, depends_on: [db], networks: [n]}}",
            "low/.env": "BOTH=there\nOWN=there\n",
            "low/part.yaml": "include: [in/deep.yaml]\nservices: {db: {image: 'x:$BOTH-$OWN', volumes: ['./d:/d']}}\n"
            "networks: {n: }\nsecrets: {s: {file: s.txt}}",
            "low/in/deep.yaml": "services: {deep: {image: deep, secrets: [s]}}",
        },
    )
    assert sorted(found.services) == ["db", "deep", "web"]
    assert found.services["db"].image == "x:here-there"
    assert found.services["db"].options["volume"] == [f"{tmp_path}/low/d:/d"]
    assert found.networks["n"].name == "shop_n"
    assert f"source={tmp_path}/low/s.txt" in found.services["deep"].options["mount"][0]


def test_an_include_may_have_several_files_and_another_directory(tmp_path: Path) -> None:
    """`path` is a list of files that are merged; `project_directory` and `env_file` replace the usual ones."""
    found = load(
        tmp_path,
        {
            "compose.yaml": "include: [{path: [low/a.yaml, low/b.yaml], project_directory: base, env_file: x.env}]",
            "low/a.yaml": "services: {a: {image: '$NAME', volumes: ['./d:/d']}}",
            "low/b.yaml": "services: {a: {user: '7'}}",
            "low/.env": "NAME=wrong\n",
            "x.env": "NAME=right\n",
        },
    )
    assert found.services["a"].image == "right"
    assert found.services["a"].options == {"volume": [f"{tmp_path}/base/d:/d"], "user": "7"}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"compose.yaml": "services: {a: {extends: b}, b: {extends: a}}"}, "services extend one another.*a -> b -> a"),
        ({"compose.yaml": "services: {a: {extends: c}}"}, "there is no service c in"),
        ({"compose.yaml": "services: {a: {extends: {file: no.yaml, service: c}}}"}, "no.yaml: No such file"),
        ({"compose.yaml": "services: {a: {extends: {file: x.yaml}}}"}, "names no service"),
        ({"compose.yaml": "services: {a: {extends: {service: a, fiel: x}}}"}, "fiel: is a key"),
        ({"compose.yaml": "include: [x.yaml]", "x.yaml": "include: [compose.yaml]"}, "files include one another: "),
        ({"compose.yaml": "include: [{env_file: x}]"}, "names no path"),
        (
            {"compose.yaml": "include: [x.yaml]\nservices: {a: {image: b}}", "x.yaml": "services: {a: {image: c}}"},
            r"services.a at .*x.yaml:1 conflicts with that at .*compose.yaml:2",
        ),
    ],
)
def test_wrong_extends_and_includes(tmp_path: Path, files: dict[str, str], says: str) -> None:
    """A circle, a missing service or file, an unknown key, two things of one name: one line with the place."""
    with pytest.raises(UsageError, match=says):
        load(tmp_path, files)


def test_a_service_may_be_included_twice_if_it_is_the_same(tmp_path: Path) -> None:
    """Two files that include a third one are no conflict."""
    found = load(
        tmp_path,
        {
            "compose.yaml": "include: [a.yaml, b.yaml]",
            "a.yaml": "include: [c.yaml]",
            "b.yaml": "include: [c.yaml]",
            "c.yaml": "services: {c: {image: x}}",
        },
    )
    assert list(found.services) == ["c"]


def test_files_that_grow_are_refused(tmp_path: Path) -> None:
    """Each file includes the next one twice: without a limit 2**20 files would be read; a long chain ends, too."""
    files = {f"{at}.yaml": f"include: [{at + 1}.yaml, ./{at + 1}.yaml]" for at in range(20)}
    with pytest.raises(UsageError, match=f"more than {loading.FILES_MOST} files"):
        load(tmp_path, {**files, "20.yaml": "services: {a: {image: x}}", "compose.yaml": "include: [0.yaml]"})
    chain = "".join(f"  s{at}: {{extends: s{at + 1}}}\n" for at in range(5000))
    with pytest.raises(UsageError, match="services extend one another"):
        one(tmp_path, f"services:\n{chain}  s5000: {{image: x}}\n")


def test_secrets_and_configs_of_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the host is mounted; a variable or text is a file with owner and mode, of which the hash knows."""
    monkeypatch.setenv("WORD", "password")
    text = """
services:
  web:
    image: box
    secrets: [file, {source: word, target: w, uid: '7', gid: '8', mode: 0440}, {source: file, target: /x, mode: 0400}]
    configs: [text, {source: file, target: /etc/c}]
secrets: {file: {file: f}, word: {environment: WORD}}
configs: {text: {content: 'a $WORD'}, file: {file: g}}
"""
    web = one(tmp_path, text).services["web"]
    assert web.options["mount"] == [
        f"type=bind,source={tmp_path}/f,target=/run/secrets/file,readonly",
        f"type=bind,source={tmp_path}/f,target=/x,readonly",
        f"type=bind,source={tmp_path}/g,target=/etc/c,readonly",
    ]
    word, config = web.files
    assert (word.target, word.content, word.owner, word.mode) == ("/run/secrets/w", b"password", (7, 8), 0o440)
    assert (config.target, config.content, config.owner, config.mode) == ("/text", b"a password", (0, 0), 0o444)
    assert web.notes == ["secrets: mode of file: a file of the host keeps its own; ignored"]
    digest = members.digest(web, "i", [])
    assert "password" not in digest
    monkeypatch.setenv("WORD", "another")
    assert members.digest(one(tmp_path, text).services["web"], "i", []) != digest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("services: {a: {image: x, secrets: [s]}}", "there is no secret s"),
        ("services: {a: {image: x}}\nsecrets: {s: {external: true}}", "belong to swarm"),
        ("services: {a: {image: x}}\nsecrets: {s: }", "has no content"),
        ("services: {a: {image: x}}\nconfigs: {s: {file: a, content: b}}", "has file and content"),
        ("services: {a: {image: x}}\nsecrets: {s: {content: b}}", "content: is a key"),
        ("services: {a: {image: x}}\nsecrets: {s: {file: b, driver: c}}", "compose has no driver for secrets"),
        ("services: {a: {image: x, secrets: [s]}}\nsecrets: {s: {environment: UNSET_WORD}}", "UNSET_WORD is not set"),
        (
            "services: {a: {image: x, configs: [{source: s, mode: rw}]}}\nconfigs: {s: {content: b}}",
            "'rw' is no octal number",
        ),
        ("services: {a: {image: x, configs: [s], read_only: true}}\nconfigs: {s: {content: b}}", "read_only"),
        ("services: {a: {image: x}}\nvolumes: {v: {external: true, labels: [a=b]}}", "conflicts with external"),
        ("services: {a: {image: x}}\nvolumes: {v: {external: {name: a}, name: b}}", "conflicts with name"),
        ("services: {a: {image: x}}\nnetworks: {v: {enable_ipv4: false}}", "always has IPv4"),
        ("services: {a: {image: x}}\nnetworks: {v: {ipam: {driver: dhcp}}}", "no IPAM driver dhcp"),
        ("services: {a: {image: x, gpus: all}}", "reserves no GPUs"),
        ("services: {a: {image: x, runtime: runc}}", "unknown or invalid runtime name: runc"),
        ("services: {a: {provider: {type: x}}}", "no programs of other providers"),
        ("services: {a: {image: x}}\nmodels: {m: {model: y}}", "runs no language models"),
        (
            CIRCLE,
            "need one another's images: a -> b -> a",
        ),
        ("services: {a: {build: {additional_contexts: {x: 'service:b'}}}}", "there is no service b"),
        ("services: {a: {build: {additional_contexts: {x: 'https://b'}}}}", "is no context that tinybox knows"),
        ("services: {a: {image: x, post_start: [{user: root}]}}", "names no command"),
        ("services: {a: {image: x, links: [b]}}", "there is no service b"),
        ("services: {a: {image: x, develop: {watch: [{path: ., action: sync}]}}}", "sync needs a target"),
        ("services: {a: {image: x, develop: {watch: [{path: ., action: fly}]}}}", "fly is no action"),
        ("services: {a: {image: x, env_file: [{path: a, format: toml}]}}", "toml is no format"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """The store of swarm, drivers, GPUs, runtimes, and entries that contradict one another: one line with the place."""
    with pytest.raises(UsageError, match=says):
        one(tmp_path, text)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("mem_limit: much", "--memory much: is not a size"),
        ("cpus: many", "--cpus many: is not a number"),
        ("ulimits: {nofile: {soft: 2, hard: 1}}", "the soft limit is above the hard one"),
        ("cap_add: [FLY]", "no such capability"),
        ("stop_signal: WAVE", "WAVE"),
        ("restart: sometimes", "is not a policy"),
        ("ports: ['80:many']", "80:many"),
        ("volumes: ['./a:b']", "absolute"),
        ("volumes: [{type: tmpfs, target: t}]", "absolute"),
        ("tmpfs: t", "is not an absolute path"),
        ("pids_limit: -2", "--pids-limit -2"),
        ("extra_hosts: [a=b]", "is not an IP address"),
        ("security_opt: [what]", "what"),
        ("oom_score_adj: 5000", "--oom-score-adj 5000"),
        ("volumes: [{type: image, source: x, target: /i, image: {subpath: etc}}]", "only a whole image"),
        ("volumes: [{type: volume, target: /i, volume: {subpath: etc}}]", "must not set Subpath"),
        ("networks: {default: {link_local_ips: [1.2.3.4]}}", "is not a link-local address"),
        ("networks: {default: {driver_opts: {x: y}}}", "x"),
        ("healthcheck: {test: x, retries: few}", "--health-retries few"),
    ],
)
def test_values_that_run_refuses_are_refused_here(tmp_path: Path, lines: str, says: str) -> None:
    """`config -q` accepts only files that `up` can carry out: each value is read as by `run`; the service is named."""
    with pytest.raises(UsageError, match=r"compose.yaml:2: services.web: .*") as caught:
        one(tmp_path, f"services:\n  web: {{image: x, {lines}}}\n")
    assert says in str(caught.value)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_projects_in_the_style_of_public_ones_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve files as people write them: each is accepted, and has its services."""
    monkeypatch.setenv("STORE_PASSWORD", "x")
    found = project.load([str(path)], "sample")
    assert len(found.services) > 1
    assert all(service.image for service in found.services.values())


def _places(service: Service) -> list[str]:
    return [*service.options.get("mount", ()), *service.options.get("volume", ())]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_canonical_form_means_the_same(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `config` prints, read again in another directory, gives the same options, paths and dependencies."""
    monkeypatch.setenv("STORE_PASSWORD", "x")
    found = project.load([str(path)], "sample")
    form = Canonical("sample", found.folder, found.variables).file(anchored(found.tree, found.folder).plain())
    (tmp_path / "compose.yaml").write_text(document.written(form))
    again = project.load([str(tmp_path / "compose.yaml")], "sample")
    assert list(again.services) == list(found.services)
    for name, service in found.services.items():
        other = again.services[name]
        assert (other.image, other.arguments, other.depends_on) == (
            service.image,
            service.arguments,
            service.depends_on,
        )
        places = {"mount", "volume"}  # the short form of a volume becomes a long one
        assert other.options.keys() - places == service.options.keys() - places
        assert len(_places(other)) == len(_places(service))
        assert (other.links, other.scale, [*map(vars, other.watch)]) == (
            service.links,
            service.scale,
            [*map(vars, service.watch)],
        )


def test_the_whole_stack_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample with include and extends has the services of all its files, with their directories."""
    monkeypatch.delenv("TAG", raising=False)
    found = project.load([str(SAMPLES / "whole-stack.yaml")], "sample")
    assert sorted(found.services) == ["cache", "database", "jobs", "web"]
    web, jobs = found.services["web"], found.services["jobs"]
    assert web.image == jobs.image == "example/web:latest"
    assert (web.options["publish"], jobs.options.get("publish")) == (["8080"], None)
    assert web.options["env"] == ["COMMON=yes", "TZ=UTC"]
    assert web.options["label"] == ["team=shop", "tier=front"]
    assert f"{SAMPLES}/parts/init:/docker-entrypoint-initdb.d:ro" in found.services["database"].options["volume"]


def test_hooks_links_watches_and_policies(tmp_path: Path) -> None:
    """They are kept for `up`, `stop` and `watch`; a link and a volume's source come up first."""
    text = """
services:
  db: {image: db, container_name: database}
  web:
    image: box
    links: [db, 'db:store']
    external_links: [other, 'other:o']
    post_start: [{command: chown 7 /d, user: root, privileged: true}]
    pre_stop: [{command: [sh, -c, 'a b'], working_dir: /w, environment: [A=1]}]
    pull_policy: every_1d12h
    scale: 3
    attach: false
    develop: {watch: [{path: src, action: sync+exec, target: /s, ignore: x, exec: {command: reload}}]}
    networks: {default: , back: {priority: 9, gw_priority: 4, interface_name: net7, link_local_ips: [169.254.1.1]}}
networks: {back: }
"""
    shop = one(tmp_path, text)
    web = shop.services["web"]
    assert web.depends_on == {"db": "service_started"}
    start, stop = web.post_start[0], web.pre_stop[0]
    assert (start.command, start.options) == (["chown", "7", "/d"], {"privileged": True, "user": "root"})
    assert stop.options == {"privileged": False, "env": ["A=1"], "workdir": "/w"}
    assert (web.pull, web.refresh, web.scale, web.attach) == ("refresh", 129_600, 3, False)
    (rule,) = web.watch
    assert rule.hook is not None
    assert (rule.path, rule.action, rule.target, rule.ignore) == (f"{tmp_path}/src", "sync+exec", "/s", ["x"])
    first, second = resources.options(shop, web)["network"]
    names = ",link=database:db,link=database:store,link=other:other,link=other:o"
    more = ",gw-priority=4,link-local-ip=169.254.1.1,driver-opt=com.docker.network.endpoint.ifname=net7"
    assert (first, second) == (f"name=shop_back,alias=web{more}{names}", f"name=shop_default,alias=web{names}")


def test_notes_about_a_file(tmp_path: Path) -> None:
    """A variable without a value, and `version`; the project's name is a variable, and a default is no reason."""
    text = "version: '3'\nservices: {a: {image: 'x$NO_VALUE${OTHER:-b}', hostname: '${COMPOSE_PROJECT_NAME}-a'}}\n"
    found = one(tmp_path, text)
    assert found.services["a"].options["hostname"] == "shop-a"
    assert len(found.notes) == 2
    assert "NO_VALUE" in found.notes[0]
    assert "compose.yaml:1: version: is obsolete" in found.notes[1]
