"""Shell completion: the protocol between bash, zsh or fish and the installed command, tested with the real programs."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root


def offers(tinybox: Command, line: str, shell: str = "bash") -> list[str]:
    """Return what *shell* is offered for the last word of *line*, which may be empty; nothing else may be printed."""
    words = line.split(" ")
    settings = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_TINYBOX_COMPLETE": f"{shell}_complete"}
    if shell == "fish":
        settings["COMP_CWORD"] = words[-1]
    done = subprocess.run(
        [tinybox.path],
        env={**tinybox.environment, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120 * SLOWNESS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if line]
    if shell == "zsh":
        return lines[1::3]  # type, word, help
    return [line.partition(",")[2].partition("\t")[0] for line in lines]


@pytest.fixture
def two(tinybox: Command) -> Iterator[Command]:
    """Make two containers: one that runs, one that was never started."""
    done = tinybox("run", "-d", "--name", "shown-alive", "--network", "none", "busybox", "sleep", "1000")
    assert done.returncode == 0, done.stderr
    assert tinybox("create", "--name", "shown-new", "busybox", "true").returncode == 0
    yield tinybox
    assert tinybox("rm", "-f", "shown-alive", "shown-new").returncode == 0


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("tinybox rm shown-", ["shown-alive", "shown-new"]),
        ("tinybox stop shown-", ["shown-alive"]),
        ("tinybox exec shown-", ["shown-alive"]),
        ("tinybox start shown-", ["shown-new"]),
        ("tinybox rm shown-n", ["shown-new"]),
        ("tinybox rm shown-new shown-", ["shown-alive"]),
        ("tinybox rm --force shown-a", ["shown-alive"]),
        ("tinybox rm hidden-", []),
        ("tinybox logs shown-n", ["shown-new"]),
        ("tinybox cp shown-n", ["shown-new:"]),
    ],
)
def test_containers_are_offered_where_they_can_be_used(two: Command, line: str, names: list[str]) -> None:
    """`stop` offers running containers, `start` the others, `rm` both; a name already on the line is not offered."""
    assert offers(two, line) == names


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_three_shells_get_the_same_names(two: Command, shell: str) -> None:
    """Each of bash, zsh and fish gets the same names in its own format."""
    assert offers(two, "tinybox rm shown-", shell) == ["shown-alive", "shown-new"]


def test_images_are_offered(tinybox: Command) -> None:
    """`run` and `rmi` offer the images of the store, `pull` the recipes."""
    assert offers(tinybox, "tinybox run busy") == ["busybox"]
    assert offers(tinybox, "tinybox rmi busy") == ["busybox"]
    assert "alpine" in offers(tinybox, "tinybox pull ")


def test_volumes_are_offered(tinybox: Command) -> None:
    """`volume rm` offers the volumes, also one that was made a moment before; `volume create` offers none."""
    assert tinybox("volume", "create", "shown-pages").returncode == 0
    assert offers(tinybox, "tinybox volume rm shown-") == ["shown-pages"]
    assert offers(tinybox, "tinybox volume create shown-") == []
    assert tinybox("volume", "rm", "shown-pages").returncode == 0


def test_root_option_chooses_the_store(two: Command) -> None:
    """With --root the names come from that store: an empty store offers nothing."""
    assert offers(two, "tinybox --root /nonexistent rm shown-") == []


def test_a_store_that_cannot_be_read_offers_nothing(tmp_path: Path) -> None:
    """If the store cannot be read, as by a user other than root, no names are offered and no error is printed."""
    (tmp_path / "container-names").write_text("a file, where a directory is expected")
    broken = Command(tmp_path)
    assert offers(broken, "tinybox rm ") == []
    assert "rm" in offers(broken, "tinybox r")  # the control: commands are offered nevertheless


def test_bash_completes(two: Command) -> None:
    """The script that `completion bash` prints, run by bash, completes a container's name."""
    script = two("completion", "bash").stdout
    asked = 'COMP_WORDS=(tinybox rm shown-n); COMP_CWORD=2; _tinybox_completion "$TINYBOX"; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{asked}"],
        env={**two.environment, "TINYBOX": two.path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120 * SLOWNESS,
    )
    assert (done.stdout, done.stderr) == ("shown-new\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(tinybox: Command, shell: str) -> None:
    """`completion SHELL` prints the script by which that shell asks the command; an unknown shell is refused."""
    assert f"_TINYBOX_COMPLETE={shell}_complete" in tinybox("completion", shell).stdout
    assert tinybox("completion", "tcsh").returncode == 1


def test_values_of_options_are_offered(tinybox: Command) -> None:
    """`--network` offers the networks, as the table of options says; `--hostname` offers nothing."""
    assert tinybox("network", "create", "shown-net").returncode == 0
    assert offers(tinybox, "tinybox run --network shown-") == ["shown-net"]
    assert offers(tinybox, "tinybox create --net shown-") == ["shown-net"]
    assert offers(tinybox, "tinybox run --hostname shown-") == []
    assert tinybox("network", "rm", "shown-net").returncode == 0


def answer(tinybox: Command, *words: str) -> tuple[list[str], str]:
    """Return the offers that `__complete` prints for the last word, without their help, and the last line."""
    *lines, last = tinybox("__complete", *words).stdout.splitlines()
    return [line.partition("\t")[0] for line in lines], last


def test_dockers_scripts_are_answered(two: Command) -> None:
    """`__complete` prints names, commands and options in docker's form; the last line tells what the shell shall do."""
    assert answer(two, "rm", "shown-") == (["shown-alive", "shown-new"], ":4")
    assert answer(two, "volume", "cre") == (["create"], ":4")
    assert answer(two, "ps", "--f") == (["--filter", "--format"], ":4")
    assert answer(two, "run", "-v", "") == answer(two, "cp", "nothing") == ([], ":0")  # files
    assert answer(two, "no-command", "x") == ([], ":4")
    assert "\t" in two("__complete", "volume", "cre").stdout
    assert two("__completeNoDesc", "volume", "cre").stdout == "create\n:4\n"


def scripts() -> dict[str, str]:
    """Return the completion scripts of programs that speak this protocol: podman, and docker if its client is here."""
    found = {}
    for program in ("podman", "docker"):
        if shutil.which(program):
            done = subprocess.run([program, "completion", "bash"], capture_output=True, text=True, check=False)
            found[program] = done.stdout if "__complete" in done.stdout else ""
    return {program: script for program, script in found.items() if script}


# The function of the package bash-completion that the scripts call, for machines without it; and no real line to edit.
SHELL = """
_init_completion() {
    words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}
}
compopt() { :; }
COMP_TYPE=9; COMP_LINE="${COMP_WORDS[*]}"
"""


def test_the_scripts_of_docker_and_podman_complete(two: Command, tmp_path: Path) -> None:
    """The script that docker's client ships, or podman's, which is alike, completes a box's name by asking tinybox."""
    (tmp_path / "docker").symlink_to(two.path)
    known = scripts()
    if not known:
        pytest.skip("neither podman nor docker's client is here: tools/setup.sh packages test")
    for program, script in known.items():
        line = f'COMP_WORDS=({tmp_path}/docker rm shown-n); COMP_CWORD=2\n{SHELL}\n__start_{program}; echo "$COMPREPLY"'
        done = subprocess.run(
            ["bash", "-c", f"{script}\n{line}"], env=two.environment, capture_output=True, text=True, check=False,
            timeout=120 * SLOWNESS,
        )  # fmt: skip
        assert (done.stdout.strip(), done.stderr) == ("shown-new", ""), program
