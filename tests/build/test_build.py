"""`tinybox build` with real boxes: RUN and its mounts, secrets, the cache, failures, signals, reproducible images."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line, output, until
from tests.support.image_trees import read
from tinybox.build import cache
from tinybox.images import build_cache
from tinybox.images.store import Store

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from tests.conftest import Command

pytestmark = pytest.mark.root


def build(tinybox: Command, folder: Path, text: str, *options: str) -> CompletedProcess[str]:
    """Build *text* with the context *folder*, as the image ``case``."""
    (folder / "Containerfile").write_text(text)
    return tinybox("build", "-t", "case", *options, str(folder))


def made(tinybox: Command, folder: Path, text: str, *options: str) -> str:
    """Build *text*, which must succeed, and return the id of the image."""
    done = build(tinybox, folder, text, "-q", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def printed(tinybox: Command, *words: str) -> str:
    """Return the output of ``tinybox WORDS``, which must succeed."""
    done = tinybox(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def said(tinybox: Command, *command: str) -> str:
    """Return the output of *command* in a box of the image."""
    return output(tinybox, "case", *command)


def left(tinybox: Command) -> list[str]:
    """Return the files of the store that a build must not leave."""
    root = Path(tinybox.root)
    return [str(path) for name in ("tmp", "containers", "run") for path in (root / name).glob("*")]


def cached(done: CompletedProcess[str]) -> int:
    """Return how many steps a build took from the cache."""
    return done.stderr.count(" CACHED\n")


def test_a_program_of_ones_own_runs(built: Command, tmp_path: Path) -> None:
    """The image has the files of COPY and RUN, and its command is run."""
    (tmp_path / "app.sh").write_text("#!/bin/sh\necho app $(cat /data) $WHO\n")
    text = 'FROM busybox\nENV WHO=me\nRUN echo made > /data\nCOPY --chmod=755 app.sh /bin/app\nCMD ["app"]\n'
    done = build(built, tmp_path, text)
    assert done.returncode == 0, done.stderr
    assert said(built) == "app made me\n"
    assert "#2 [2/3] RUN echo made > /data\n" in done.stderr
    assert "naming to case:latest" in done.stderr
    assert left(built) == []


def test_the_output_of_a_program_is_shown_line_by_line(built: Command, tmp_path: Path) -> None:
    """Each line has the number of its step; what a program sends to a terminal is escaped."""
    done = build(built, tmp_path, "FROM busybox\nRUN printf 'one\\ntwo\\n\\033]0;title\\007x\\n'; printf rest >&2")
    lines = [line.split(" ", 2)[2] for line in done.stderr.splitlines() if line.startswith("#2 0.")]
    assert lines == ["one", "two", r"\x1b]0;title\x07x", "rest"]


def test_quiet_prints_only_the_id(built: Command, tmp_path: Path) -> None:
    """-q and --iidfile give the id of the image, which has the name."""
    done = build(built, tmp_path, "FROM busybox\nRUN echo loud\n", "-q", "--iidfile", str(tmp_path / "id"))
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.strip() == (tmp_path / "id").read_text()
    assert done.stdout.strip().removeprefix("sha256:") in printed(built, "images", "-q", "--no-trunc", "case")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "FROM busybox\nRUN exit 3\n",
            ":2: RUN: '/bin/sh -c exit 3' ended with the exit status 3",
        ),
        ('FROM busybox\nRUN ["nosuch"]\n', ":2: RUN: "),
        ("FROM busybox\n\nCOPI a b\n", ":3: unknown instruction: COPI (did you mean COPY?)"),
        ("FROM busybox\nRUN --mount=type=ssh true\n", ":2: RUN: --mount=type=ssh: type=ssh is not supported"),
        ("FROM busybox\nRUN --security=insecure true\n", ":2: RUN: --security=insecure is refused"),
        ("FROM busybox\nRUN --foo true\n", ":2: RUN: unknown flag: --foo"),
        ("FROM busybox\nENV --foo a=b\n", ":2: ENV: unknown flag: --foo"),
        ("FROM busybox\nCOPY nosuch /\n", ":2: COPY: nosuch"),
        ("FROM busybox\nUSER nosuch\nRUN true\n", ":3: RUN: "),
        ("FROM busybox\nENV a=${b:?needed}\n", ":2: ENV: b: needed"),
        ("FROM busybox\nEXPOSE http\n", ":2: EXPOSE: http is no port"),
        ("FROM busybox\nHEALTHCHECK --interval=soon CMD true\n", ":2: HEALTHCHECK: --interval=soon"),
        ("RUN true\n", ":1: RUN: it stands before the first FROM"),
        ("FROM --platform=plan9/mips busybox\n", ":1: FROM: "),
    ],
)
def test_an_error_is_one_line_with_its_place(built: Command, tmp_path: Path, text: str, says: str) -> None:
    """File and line, cause, and status 1, as docker's; nothing is left, and the name has no image."""
    done = build(built, tmp_path, text, "-q")
    one_line(done, 1, f"{tmp_path}/Containerfile{says}")
    assert left(built) == []
    assert printed(built, "images", "-q", "case") == ""


def test_a_name_keeps_its_image_when_a_build_fails(built: Command, tmp_path: Path) -> None:
    """The image of before stays under its name."""
    before = made(built, tmp_path, "FROM busybox\nLABEL v=1\n")
    assert build(built, tmp_path, "FROM busybox\nLABEL v=2\nRUN false\n").returncode == 1
    assert printed(built, "images", "-q", "--no-trunc", "case").strip() == before


def test_a_failed_container_can_be_kept(built: Command, tmp_path: Path) -> None:
    """--keep-failed: the error names the container, its files are there, also when the cache is cleared."""
    done = build(built, tmp_path, "FROM busybox\nRUN touch /early\nRUN echo late > /late; exit 5\n", "--keep-failed")
    assert done.returncode == 1
    name = done.stderr.rpartition("tinybox diff ")[2].partition(",")[0]
    try:
        assert printed(built, "diff", name) == "A /late\n"
        cache.clear(Store(built.root))
        for file in ("early", "late"):
            printed(built, "cp", f"{name}:/{file}", str(tmp_path / file))
        assert (tmp_path / "late").read_text() == "late\n"
    finally:
        built("rm", name)
    assert build(built, tmp_path, "FROM busybox\nRUN false\n").returncode == 1
    assert left(built) == []


def test_a_step_is_taken_from_the_cache(built: Command, tmp_path: Path) -> None:
    """The same words on the same base; the image is the same one. Files' times do not matter, their content does."""
    (tmp_path / "file").write_text("1")
    text = "FROM busybox\nWORKDIR /w\nCOPY file .\nRUN cat file /proc/sys/kernel/random/uuid > made\n"
    first = made(built, tmp_path, text)
    os.utime(tmp_path / "file", (1, 1))
    done = build(built, tmp_path, text, "--iidfile", str(tmp_path / "id"))
    assert cached(done) == 3
    assert (tmp_path / "id").read_text() == first
    (tmp_path / "file").write_text("2")
    changed = build(built, tmp_path, text)
    assert cached(changed) == 1
    assert said(built, "head", "-c1", "/w/made") == "2"


def test_what_a_step_sees_is_in_its_key(built: Command, tmp_path: Path) -> None:
    """Another ENV, ARG, USER, directory, word or network makes RUN run again; a LABEL does not."""
    text = "FROM busybox\n{}\nRUN echo x\n"
    build(built, tmp_path, text.format("LABEL a=b"))
    assert cached(build(built, tmp_path, text.format("LABEL a=c"))) == 1
    for change in ("ENV A=b", "ARG A=c", "USER 7", "WORKDIR /tmp"):
        assert cached(build(built, tmp_path, text.format(change))) == 0, change
    assert cached(build(built, tmp_path, text.format("ARG A=c"), "--build-arg", "A=d")) == 0
    assert cached(build(built, tmp_path, text.format("LABEL a=b"), "--no-cache")) == 0


def test_a_cache_entry_without_its_layer_is_ignored(built: Command, tmp_path: Path) -> None:
    """Then the step is done again. So are steps with a damaged entry."""
    text = "FROM busybox\nRUN echo x > /x\n"
    made(built, tmp_path, text)
    for key in build_cache.keys(built.root):
        Path(built.root, "build-cache", key).write_text('{"diff_id": "sha256:' + "0" * 64 + '", "created": "x"}')
    assert cached(build(built, tmp_path, text)) == 0
    for key in build_cache.keys(built.root):
        Path(built.root, "build-cache", key).write_text("{")
    assert cached(build(built, tmp_path, text)) == 0
    assert cached(build(built, tmp_path, text)) == 1


def test_rmi_keeps_the_layers_of_the_cache(built: Command, tmp_path: Path) -> None:
    """A build after rmi runs nothing again."""
    text = "FROM busybox\nRUN echo x > /x\n"
    made(built, tmp_path, text)
    assert built("rmi", "case").returncode == 0
    assert cached(build(built, tmp_path, text)) == 1


def test_a_secret_leaves_nothing(built: Command, tmp_path: Path) -> None:
    """RUN sees the secret as a file and a variable; neither a layer, the store nor the output has it or its place."""
    (tmp_path / "key").write_text("topsecret-47")
    text = (
        "FROM busybox\nRUN --mount=type=secret,id=k,required=true md5sum /run/secrets/k; ls -l /run/secrets\n"
        "RUN --mount=type=secret,id=k,target=/root/deep/k,mode=0440,uid=7 stat -c '%a %u' /root/deep/k > /stat\n"
        "RUN --mount=type=secret,id=k,env=KEY test ${#KEY} = 12\nRUN --mount=type=secret,id=other true\n"
    )
    (tmp_path / ".dockerignore").write_text("*\n")
    done = build(built, tmp_path, text, "--secret", f"id=k,src={tmp_path}/key")
    assert done.returncode == 0, done.stderr
    assert said(built, "cat", "/stat") == "440 7\n"
    assert said(built, "ls", "/run", "/root") == "/root:\n\n/run:\n"
    for path in Path(built.root).rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert b"topsecret-47" not in path.read_bytes(), path
    one_line(build(built, tmp_path, text, "--no-cache", "-q"), 1, "secret k: was not given")


def test_a_cache_mount_stays_from_build_to_build(built: Command, tmp_path: Path) -> None:
    """Its files are there again, and in no image; prune of the cache removes them."""
    mount = "--mount=type=cache,id=c,target=/c,mode=0711,uid=5"
    text = f"FROM busybox\nRUN {mount} stat -c %a-%u /c; echo {{}} >> /c/log; cat /c/log\n"
    build(built, tmp_path, text.format(1))
    done = build(built, tmp_path, text.format(2))
    lines = [line.split(" ", 2)[2] for line in done.stderr.splitlines() if line.startswith("#2 0.")]
    assert lines == ["711-5", "1", "2"]
    assert "c" not in said(built, "ls", "/").split()


def test_what_was_not_used_for_longest_is_pruned_first(built: Command, tmp_path: Path) -> None:
    """`builder prune`: until=, type= and id= choose items, and --keep-storage keeps what was used last.

    A step that a build takes from the cache is used then; so its time is new, and the one of another build is not.
    """
    megabyte = "RUN head -c 1m /dev/urandom >"
    made(built, tmp_path, f"FROM busybox\n{megabyte} /a\n{megabyte} /b\nRUN --mount=type=cache,target=/c touch /c/x\n")
    store = Store(built.root)
    built("rmi", "case")
    for key in build_cache.keys(store.root):
        os.utime(f"{store.root}/{build_cache.FOLDER}/{key}", (0, 0))
    made(built, tmp_path, f"FROM busybox\n{megabyte} /a\n")
    built("rmi", "case")

    def pruned(*words: str) -> list[str]:
        return printed(built, "builder", "prune", "-f", *words).splitlines()

    nothing = ["Total reclaimed space: 0B"]
    assert pruned("--keep-storage", "1g") == pruned("--filter", "until=1980-01-01", "--filter", "id=x") == nothing
    first, *_, last = cache.items(store)
    assert first.used == 0 != last.used
    assert pruned("--keep-storage", "1100k")[0] == "Deleted build cache objects:"
    left = {item.id for item in cache.items(store)}
    assert (first.id in left, last.id in left) == (False, True)
    assert len(pruned("--filter", "type=exec.cachemount")) == 4
    assert {item.kind for item in cache.items(store)} <= {"regular"}
    assert pruned("--filter", "until=24h")[-1].startswith("Total reclaimed space: ")
    assert [item.id for item in cache.items(store)] == [last.id]
    one_line(built("builder", "prune", "-f", "--keep-storage", "some"), 125, "--keep-storage some")
    one_line(built("builder", "prune", "-f", "--filter", "colour=red"), 1, "invalid filter 'colour'")


def test_a_bind_mount_is_not_written_through(built: Command, tmp_path: Path) -> None:
    """Files of the context and of a stage are seen; with rw a change is lost; .dockerignore counts."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "seen").write_text("seen\n")
    (tmp_path / "d" / "hidden").write_text("hidden\n")
    (tmp_path / ".dockerignore").write_text("d/hidden\n")
    text = (
        "FROM busybox AS one\nRUN mkdir /o && echo one > /o/f\nFROM busybox\n"
        "RUN --mount=type=bind,source=d,target=/m ls /m > /list; ! touch /m/x\n"
        "RUN --mount=type=bind,source=d,target=/m,rw echo lost > /m/seen\n"
        "RUN --mount=type=bind,from=one,source=/o,target=/m,rw cat /m/f >> /list; rm /m/f\n"
        "COPY --from=one /o/f /f\n"
    )
    made(built, tmp_path, text)
    assert said(built, "cat", "/list", "/f") == "seen\none\none\n"
    assert (tmp_path / "d" / "seen").read_text() == "seen\n"


def test_heredocs(built: Command, tmp_path: Path) -> None:
    """RUN <<EOF is a script for the shell, one with #! is executed, and a command gets its heredoc."""
    text = (
        'FROM busybox\nRUN <<EOF\na=1\necho "a $a" > /one\nEOF\n'
        'RUN <<"EOF" cat > /two\n$x\nEOF\nRUN <<-END\n\t#!/bin/ash\n\techo $0 > /three\n\tEND\n'
    )
    made(built, tmp_path, text)
    assert said(built, "cat", "/one", "/two", "/three") == "a 1\n$x\n/dev/pipes/END\n"


def test_arguments_are_not_in_the_image(built: Command, tmp_path: Path) -> None:
    """ARG is a variable of RUN, and no variable of the image; ENV overrides it; a proxy needs no ARG."""
    text = "FROM busybox\nARG A=1\nARG B=2\nENV B=3\nRUN echo $A $B $http_proxy > /a\n"
    made(built, tmp_path, text, "--build-arg", "A=7", "--build-arg", "http_proxy=http://proxy:1")
    assert said(built, "cat", "/a") == "7 3 http://proxy:1\n"
    config = json.loads(printed(built, "inspect", "case"))[0]
    assert not any(word in json.dumps(config.get("Config", config)) for word in ("A=7", "http_proxy"))
    done = build(built, tmp_path, text, "--build-arg", "UNUSED=1")
    assert "One or more build-args [UNUSED] were not consumed" in done.stderr


def test_stages_are_built_side_by_side(built: Command, tmp_path: Path) -> None:
    """Two stages that wait for each other's beginning come to an end; a stage that nobody needs is not built."""
    wait = "for i in $(seq 100); do test -e /c/{0} && exit 0; sleep 0.1; done; exit 1"
    text = (
        "FROM busybox AS a\nRUN --mount=type=cache,id=meet,target=/c touch /c/a; " + wait.format("b") + "\n"
        "FROM busybox AS b\nRUN --mount=type=cache,id=meet,target=/c touch /c/b; " + wait.format("a") + "\n"
        "FROM busybox AS unused\nRUN false\n"
        "FROM busybox\nCOPY --from=a /bin/busybox /a\nCOPY --from=b /bin/busybox /b\n"
    )
    made(built, tmp_path, text)
    assert said(built, "ls", "/a", "/b") == "/a\n/b\n"


def test_source_date_epoch_gives_the_same_image(built: Command, tmp_path: Path) -> None:
    """Two builds without the cache have the same id, and no time in them is later; without it they differ."""
    (tmp_path / "f").write_text("x")
    text = "FROM busybox\nRUN echo x > /x; mkdir -p /d/e; touch -t 200001010000 /old\nCOPY f /f\nWORKDIR /w\n"
    built.environment["SOURCE_DATE_EPOCH"] = "1700000000"
    ids = []
    for _ in range(2):
        ids.append(made(built, tmp_path, text, "--no-cache"))
        time.sleep(1.1)
    assert ids[0] == ids[1]
    assert built("save", "-o", str(tmp_path / "image.tar"), "case").returncode == 0
    files = read(tmp_path / "image.tar", time.time() + 10**6).files
    assert files["x"].time == 1700000000
    assert files["old"].time == 946684800
    assert all(files[path].time == 1700000000 for path in ("d", "d/e", "w"))
    del built.environment["SOURCE_DATE_EPOCH"]
    assert made(built, tmp_path, text, "--no-cache") != ids[0]


def test_a_context_from_a_pipe(built: Command, tmp_path: Path) -> None:
    """- takes a Containerfile alone, or a tar archive with one."""
    done = built("build", "-q", "-t", "case", "-", text="FROM busybox\nRUN echo piped > /p\n")
    assert done.returncode == 0, done.stderr
    assert said(built, "cat", "/p") == "piped\n"
    with tarfile.open(tmp_path / "context.tar", "w") as tar:
        for name, content in (("Dockerfile", b"FROM busybox\nCOPY f /f\n"), ("f", b"from tar\n")):
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    with (tmp_path / "context.tar").open() as stdin, built.start("build", "-q", "-t", "case", "-", stdin=stdin) as run:
        assert run.wait(60) == 0, run.stderr and run.stderr.read()
    assert said(built, "cat", "/f") == "from tar\n"
    assert left(built) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_a_build_that_is_ended_leaves_nothing(built: Command, tmp_path: Path, number: int) -> None:
    """After Ctrl-C nothing is left at once; after KILL and TERM nothing after the next command. The next try works."""
    (tmp_path / "Containerfile").write_text("FROM busybox\nRUN echo x > /x\nRUN echo begun; sleep 86123\n")
    with built.start("build", "-t", "case", str(tmp_path)) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.endswith(" begun\n"):
                break
        boxes = printed(built, "ps", "-q").split()
        assert len(boxes) == 1
        os.kill(process.pid, number)
        status = process.wait(30)
    assert status == (130 if number == signal.SIGINT else -number)
    if number != signal.SIGINT:
        printed(built, "ps", "-a")
    until(lambda: left(built) == [])
    assert printed(built, "images", "-q", "case") == ""
    assert "sleep\x0086123" not in "".join(_commands())
    assert cached(build(built, tmp_path, "FROM busybox\nRUN echo x > /x\nRUN true\n")) == 1


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text())
        except OSError:
            continue
    return found


def test_a_base_with_triggers(built: Command, tmp_path: Path) -> None:
    """ONBUILD of a base image runs first, with the context of the new build; the new image has no trigger."""
    (tmp_path / "f").write_text("f\n")
    base = "FROM busybox\nONBUILD COPY f /f\nONBUILD RUN cat /f > /g\n"
    (tmp_path / "Containerfile").write_text(base)
    assert built("build", "-q", "-t", "base", str(tmp_path)).returncode == 0
    made(built, tmp_path, "FROM base\nRUN cat /g /f > /h\n")
    assert said(built, "cat", "/h") == "f\nf\n"
    assert "cat /f > /g" in printed(built, "image", "inspect", "base")
    assert "OnBuild" not in printed(built, "image", "inspect", "case")
    built("rmi", "base")


def test_network_of_run(built: Command, tmp_path: Path) -> None:
    """RUN --network=none has a network namespace with the loopback device alone; with =host it is the caller's."""
    look = "readlink /proc/self/ns/net"
    text = f"FROM busybox\nRUN --network=none {look} > /a; ls /sys/class/net >> /a\nRUN --network=host {look} > /b\n"
    made(built, tmp_path, text)
    own = os.readlink("/proc/self/ns/net")
    namespace, devices = said(built, "cat", "/a").splitlines()
    assert namespace != own
    assert devices == "lo"
    assert said(built, "cat", "/b").strip() == own


def test_a_user_of_the_image(built: Command, tmp_path: Path) -> None:
    """RUN is USER's, who may open /dev/stdout; WORKDIR makes a directory of that user; a file of root is closed."""
    program = "set -e; echo x > /dev/stdout; id -u > u; stat -c %u:%g . > s; ! touch /no"
    text = f"FROM busybox\nUSER 1000:1001\nWORKDIR /own\nRUN {program}\n"
    done = build(built, tmp_path, text)
    assert done.returncode == 0, done.stderr
    assert said(built, "cat", "/own/u", "/own/s") == "1000\n1000:1001\n"
