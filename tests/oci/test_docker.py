"""dockerd with tinybox as a runtime: each command has the same status and output as with runc."""

from __future__ import annotations

import re
import shlex
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.docker_engines import IMAGE, PATIENCE, PROGRAMS, Docker, dockerd, give_image
from tests.support.engine_directories import quarters
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow]

COMMANDS = """
run --rm IMAGE echo hello
run --rm IMAGE sh -c "exit 7"
run --rm IMAGE /nosuch
run --rm IMAGE /etc
run --rm --user 5:6 --workdir /tmp --env A=1 --hostname there IMAGE sh -c "id; pwd; echo $A; hostname"
run --rm --read-only IMAGE touch /file
run --rm --tmpfs /t:size=1m IMAGE sh -c "df /t | tail -1 | tr -s ' '"
run --rm --cap-drop ALL IMAGE grep Cap /proc/self/status
run --rm --privileged IMAGE grep Cap /proc/self/status
run --rm --security-opt no-new-privileges IMAGE grep NoNewPrivs /proc/self/status
run --rm --security-opt seccomp=unconfined IMAGE grep Seccomp: /proc/self/status
run --rm --ulimit nofile=99:99 IMAGE sh -c "ulimit -n"
run --rm --init IMAGE sh -c "cat /proc/1/comm"
run --rm --network host IMAGE cat /proc/sys/kernel/domainname
run --rm --pid host IMAGE sh -c "test $$ -gt 20"
run --rm --ipc host --uts host IMAGE true
run --rm --memory 64m --pids-limit 20 IMAGE sh -c "for i in $(seq 30); do sleep 99 & done"
run --rm --oom-score-adj 500 IMAGE cat /proc/self/oom_score_adj
run --rm --sysctl net.ipv4.ip_forward=1 --network none IMAGE cat /proc/sys/net/ipv4/ip_forward
run --rm --device /dev/null:/dev/other IMAGE stat -c %F:%t:%T:%a /dev/other
run -d --name box --memory 64m --health-cmd true IMAGE sh -c "trap 'exit 3' TERM; sleep 1000 & wait"
exec box echo inside
exec -w /tmp -e B=2 -u 7 box sh -c "pwd; echo $B; id -u"
exec box sh -c "exit 9"
exec box /nosuch
exec -d box touch /made
top box -eo pid,comm
stats --no-stream --format {{.Name}} box
cp box:/etc/passwd -
cp box:/nosuch -
diff box
pause box
inspect -f {{.State.Status}} box
exec box true
unpause box
commit box made
run --rm made ls /made
update --pids-limit 20 box
update --memory 80m --memory-swap 160m box
update --cpus 1.5 box
update --cpu-shares 300 box
update --cpuset-cpus 0 box
update --memory-reservation 32m box
rename box new
kill --signal TERM new
wait new
logs new
start new
restart -t 0 new
stop -t 5 new
inspect -f "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}" new
rm new
run --name killed --memory 16m --memory-swap 16m IMAGE sh -c "head -c 100m /dev/zero | tail"
inspect -f "{{.State.OOMKilled}}" killed
create --name later IMAGE cat /proc/self/cgroup
start -a later
rm -f later killed
""".strip().splitlines()
# What differs in each run: ids, times and numbers of processes, also in the width of a column.
NAMES = [(r"[0-9a-f]{64}|[0-9a-f]{12}", "ID"), (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"), (r"^ *\d+ +", "PID ")]
DOCKERFILE = """\
FROM busybox
RUN echo built > /made && id -u >> /made
WORKDIR /w
USER 7
CMD ["sh", "-c", "cat /made; pwd; id -u"]
"""


@pytest.fixture(scope="module")
def docker(store_root: Path) -> Iterator[Docker]:
    """Give docker's command with the image busybox."""
    with quarters(*PROGRAMS) as place, dockerd(place, default="tinybox") as docker:
        give_image(docker, Store(str(store_root)).image("busybox").layers)
        yield docker


def results(docker: Docker, runtime: str) -> dict[str, tuple[int, str]]:
    """Run all commands with *runtime*; return the status and the output of each, without names that are new."""
    found = {}
    for line in COMMANDS:
        words = [IMAGE if word == "IMAGE" else word for word in shlex.split(line)]
        if words[0] in ("run", "create"):
            words.insert(1, f"--runtime={runtime}")
        done = docker(*words)
        output = "" if done.returncode > 124 or "/nosuch" in words else done.stdout  # the runtime's own words
        for pattern, name in NAMES:
            output = re.sub(pattern, name, output, flags=re.MULTILINE)
        found[line] = done.returncode, output
    docker.says("rmi", "-f", "made")
    return found


def test_each_command_does_the_same(docker: Docker) -> None:
    """About sixty commands have the same status and output with runc and tinybox, as far as runc can run them here."""
    theirs, ours = results(docker, "runc"), results(docker, "tinybox")
    refused = [line for line in COMMANDS if "--privileged" in line and theirs[line][0] == 125]
    assert {line: ours[line] for line in COMMANDS if line not in refused} == {
        line: theirs[line] for line in COMMANDS if line not in refused
    }
    assert [ours[line][0] for line in refused] == [0] * len(refused)
    statuses = [status for status, _ in theirs.values()]
    assert statuses.count(0) > 40  # the control: nearly all of them work with runc
    assert {1, 7, 9, 126, 127, 137} <= set(statuses)


def test_a_build_has_the_same_image(docker: Docker) -> None:
    """`docker build` runs its steps with the default runtime, tinybox; the image does the same with both runtimes."""
    (docker.place.folder / "context").mkdir()
    (docker.place.folder / "context" / "Dockerfile").write_text(DOCKERFILE)
    docker.says("build", "-t", "own", str(docker.place.folder / "context"))
    for runtime in ("runc", "tinybox"):
        assert docker.says("run", "--rm", f"--runtime={runtime}", "own").split() == ["built", "0", "/w", "7"]


def test_health_is_seen(docker: Docker) -> None:
    """The health checks of docker are execs in tinybox's box: it is healthy, and unhealthy when the check fails."""
    health = ["--health-interval=300ms", "--health-retries=1", "--health-cmd=test ! -e /ill"]
    docker.says("run", "-d", "--runtime=tinybox", "--name=patient", *health, IMAGE, "sleep", "1000")
    for wanted in ("healthy", "unhealthy"):
        deadline = time.monotonic() + PATIENCE
        while docker.says("inspect", "-f", "{{.State.Health.Status}}", "patient") != wanted:
            assert time.monotonic() < deadline, wanted
            time.sleep(0.1)
        docker.says("exec", "patient", "touch", "/ill")
    docker.says("rm", "-f", "patient")
