"""Compose's commands without containers: scale words, variables, the canonical form, watched files, the group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from tinybox.cli import app, statuses
from tinybox.cli.commands.compose.project_options import ProjectOptions
from tinybox.cli.lazy_group import UnknownCommandError
from tinybox.compose import project, used_variables, watching, wishes
from tinybox.compose.canonical import Canonical
from tinybox.compose.reading.document import written
from tinybox.errors import NotFoundError, StateError, UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

SHORT = """
services:
  web:
    build: ./web
    command: run "a b" $$HOME
    depends_on: [db]
    environment: [A=1, "EMPTY=", FROM_HERE]
    env_file: vars
    expose: [80]
    extra_hosts: ["a:10.0.0.1"]
    healthcheck: {test: curl x}
    labels: [x=y]
    ports: ["80", "127.0.0.1:8000-8001:90-91/udp", {target: 70, published: 7070}]
    volumes: [/anon, "data:/data:ro", "./here:/there"]
    secrets: [word]
  db: {image: "busybox:${TAG:-latest}", network_mode: none}
volumes: {data: }
secrets: {word: {file: ./word}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with the file above, the current directory."""
    (tmp_path / "compose.yaml").write_text(SHORT)
    (tmp_path / "vars").write_text("A=0\nB=2\n")
    (tmp_path / "word").write_text("secret")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FROM_HERE", raising=False)
    return tmp_path


def run(*words: str) -> str:
    """Run `compose` with *words*, which must succeed, and return what it prints on stdout."""
    done = CliRunner().invoke(app.cli, ["compose", "-p", "shop", *words], standalone_mode=False)
    assert done.exception is None, done.exception
    return done.stdout


def test_the_canonical_form_has_the_long_form_of_each_key(folder: Path) -> None:
    """Lists, mappings and absolute paths as docker compose prints them; read again, the form is the same."""
    shown = json.loads(run("config", "--format", "json"))
    web = shown["services"]["web"]
    assert web["build"] == {"context": str(folder / "web"), "dockerfile": "Dockerfile"}
    assert web["command"] == ["run", "a b", "$$HOME"]
    assert web["depends_on"] == {"db": {"condition": "service_started", "required": True}}
    assert web["environment"] == {"A": "1", "B": "2", "EMPTY": "", "FROM_HERE": None}
    assert (web["expose"], web["extra_hosts"], web["labels"]) == (["80"], ["a=10.0.0.1"], {"x": "y"})
    assert web["healthcheck"] == {"test": ["CMD-SHELL", "curl x"]}
    assert web["networks"] == {"default": None}
    assert web["ports"] == [
        {"mode": "ingress", "target": 80, "protocol": "tcp"},
        {"mode": "ingress", "host_ip": "127.0.0.1", "target": 90, "published": "8000", "protocol": "udp"},
        {"mode": "ingress", "host_ip": "127.0.0.1", "target": 91, "published": "8001", "protocol": "udp"},
        {"mode": "ingress", "target": 70, "published": "7070", "protocol": "tcp"},
    ]
    assert web["volumes"] == [
        {"type": "volume", "target": "/anon", "volume": {}},
        {"type": "volume", "source": "data", "target": "/data", "read_only": True, "volume": {}},
        {"type": "bind", "source": str(folder / "here"), "target": "/there", "bind": {"create_host_path": True}},
    ]
    assert "env_file" not in web
    assert shown["networks"] == {"default": {"name": "shop_default"}}
    assert shown["secrets"] == {"word": {"name": "shop_word", "file": str(folder / "word")}}
    assert shown["services"]["db"]["image"] == "busybox:latest"
    again = run("config")
    (folder / "compose.yaml").write_text(again)
    assert run("config") == again


def test_config_prints_one_list_or_the_file_as_it_is_written(folder: Path) -> None:
    """--images, --hash, --variables, --profiles and so on; --no-interpolate and --no-normalize leave things out."""
    assert run("config", "--services").split() == ["web", "db"]
    assert run("config", "--images", "db") == "busybox:latest\n"
    assert run("config", "--volumes") + run("config", "--networks") == "data\ndefault\n"
    hashes = dict(line.split() for line in run("config", "--hash", "*").splitlines())
    assert list(hashes) == ["db", "web"]
    (folder / "compose.yaml").write_text(SHORT.replace("A=1", "A=2"))
    changed = dict(line.split() for line in run("config", "--hash", "db,web").splitlines())
    assert (changed["db"] == hashes["db"], changed["web"] != hashes["web"]) == (True, True)
    assert json.loads(run("config", "--variables", "--format", "json"))["TAG"]["DefaultValue"] == "latest"
    bare = run("config", "--no-interpolate", "--no-normalize", "--no-path-resolution", "--no-env-resolution")
    assert "image: busybox:${TAG:-latest}" in bare
    assert "context: ./web" in bare
    assert "networks:" not in bare
    assert "env_file:" in bare
    run("config", "-o", "out.yaml", "db")
    assert "web" not in (folder / "out.yaml").read_text()


def test_the_environment_names_files_and_separators(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COMPOSE_FILE with COMPOSE_PATH_SEPARATOR, COMPOSE_ENV_FILES, COMPOSE_PROJECT_NAME."""
    (folder / "more.yaml").write_text("services: {more: {image: 'x:${V}'}}\n")
    (folder / "own.env").write_text("V=7\n")
    monkeypatch.setenv("COMPOSE_PATH_SEPARATOR", ";")
    monkeypatch.setenv("COMPOSE_FILE", "compose.yaml;more.yaml")
    monkeypatch.setenv("COMPOSE_ENV_FILES", "own.env")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "named")
    found = project.load((), "")
    assert (found.name, found.services["more"].image) == ("named", "x:7")


@pytest.mark.parametrize("word", ["web", "web=x", "web=-1", "web=1001", "wbe=1"])
def test_a_wrong_scale_is_an_error(word: str) -> None:
    """`scale` needs SERVICE=NUMBER with a known service and a number that a host can have."""
    assert wishes.scaled(["web=0", "db=2"], ["web", "db"]) == {"web": 0, "db": 2}
    with pytest.raises(UsageError):
        wishes.scaled([word], ["web", "db"])


def test_variables_are_found_where_they_are_used() -> None:
    """Each name once, with its default or alternate text; $$ is no variable, and a default may have variables."""
    found = used_variables.used(["$A ${B:-x ${C}} $$NO ${D:?say} ${E+yes}", "${A:-late} $1"])
    told = [(each.name, each.is_required, each.default, each.alternate) for each in found]
    assert told == [
        ("A", False, "late", ""),
        ("B", False, "x ${C}", ""),
        ("C", False, "", ""),
        ("D", True, "", ""),
        ("E", False, "", "yes"),
    ]


def test_watched_files_are_those_that_no_pattern_leaves_out(tmp_path: Path) -> None:
    """The rule's ignore and include, .git, and the .dockerignore of the build; a file can be watched by itself."""
    for name in ("src/a.py", "src/b.tmp", "src/deep/c.py", "src/deep/d.txt", "src/.git/x.py", "src/built/e.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    (tmp_path / ".dockerignore").write_text("src/built\n")
    (tmp_path / "compose.yaml").write_text("""
services:
  web:
    build: .
    develop:
      watch:
        - {path: ./src, action: sync, target: /app, ignore: ["*.tmp"]}
        - {path: ./src, action: sync, target: /app, include: ["**/*.py"]}
        - {path: ./src/a.py, action: sync, target: /one.py}
""")
    service = project.load([str(tmp_path / "compose.yaml")], "shop").services["web"]
    whole, python, one = (watching.Rule(service, rule) for rule in service.watch)
    assert set(whole.read()) == {"a.py", "deep/c.py", "deep/d.txt"}
    assert set(python.read()) == {"a.py", "deep/c.py"}
    assert (set(one.read()), one.target("")) == ({""}, "/one.py")
    before = whole.read()
    (tmp_path / "src/a.py").write_text("22")
    assert whole.read()["a.py"] != before["a.py"]
    assert whole.target("deep/c.py") == "/app/deep/c.py"


def test_the_group_prints_its_help_and_its_version() -> None:
    """Without a command it is the help, with -v the version; a word of docker's that is left out says what to use."""
    assert "Docker Compose version v2." in run("-v")
    assert run("version", "--short").startswith("2.")
    assert json.loads(run("version", "--format", "json"))["version"].startswith("v2.")
    done = CliRunner().invoke(app.cli, ["compose", "publish"], standalone_mode=False)
    assert isinstance(done.exception, UnknownCommandError)
    assert "send the file itself" in done.exception.cure


@pytest.mark.parametrize(
    ("progress", "dry", "printed"),
    [
        ("", False, " Container a  Started\nwarning: \\x1b\n"),
        ("quiet", False, "warning: \\x1b\n"),
        ("plain", True, " DRY-RUN MODE - Container a  Started\nwarning: \\x1b\n"),
        ("json", True, '{"dry-run": true, "id": "Container a", "status": "Done", "text": "Started"}\nwarning: \\x1b\n'),
    ],
)
def test_progress_is_printed_as_it_is_asked_for(
    progress: str, dry: bool, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line about progress, and a warning, which every form prints; a control character is escaped."""
    none: dict[str, Any] = dict.fromkeys(("env_files", "profiles", "all_resources", "ansi", "parallel"), "")
    given = ProjectOptions((), "", "", progress=progress, **none)
    given.is_dry = dry
    given.say(" Container a  Started")
    given.say("warning: \x1b")
    assert capsys.readouterr().err == printed
    with pytest.raises(UsageError):
        ProjectOptions((), "", "", progress="fast", **none)
    with pytest.raises(UsageError):
        ProjectOptions((), "", "", progress="", **{**none, "parallel": "0"})


@pytest.mark.parametrize("words", ["--bad ps", "up --bad", "up --timeout x", "scale", "frobnicate"])
def test_a_wrong_command_line_is_1_as_in_docker_compose(words: str) -> None:
    """Also for an option that cannot be read, which is 125 in other commands; `exec` and `run` keep 126 and 127."""
    done = CliRunner().invoke(app.cli, ["compose", *words.split()], standalone_mode=False)
    assert isinstance(done.exception, click.UsageError)
    assert statuses.of_command_line(done.exception) == 1
    assert [statuses.of(["compose", "run"], error("", "")) for error in (NotFoundError, StateError)] == [127, 1]
    assert statuses.of(["compose", "up"], NotFoundError("", "")) == 1


def test_a_tree_is_written_with_or_without_doubled_dollars() -> None:
    """YAML that is read again needs $$; without the escape, texts are written as they are."""
    form: dict[str, Any] = Canonical("shop", "/", {}).file({"services": {"a": {"image": "b", "command": "$X"}}})
    assert "- $$X" in written(form)
    assert "- $X" in written(form, escape=False)
