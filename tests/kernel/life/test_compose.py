"""Compose: `up` makes what the file describes, in order, whole or not at all; `down` removes it."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, one_line, patience, until
from tests.support.compose_projects import STAYS, project
from tests.support.detached_boxes import open_files_of

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

TWO = """
services:
  web: {<<: *stays, environment: {NAME: web}, depends_on: [db], volumes: ["data:/data"], mem_limit: 32m}
  db: {<<: *stays, environment: {NAME: db}}
volumes: {data: }
"""


def test_up_makes_all_of_the_file_and_down_removes_it(tinybox: Command, tmp_path: Path) -> None:
    """Containers with names, labels and limits, and a volume; after `down -v` none of it is left."""
    with project(tinybox, tmp_path, TWO) as shop:
        said = shop.up()
        assert said.index("shop-db-1  Started") < said.index("shop-web-1  Started")
        web = shop.life("web")
        assert web.inside("cat /proc/1/comm; echo $NAME") == "tinybox:init\nweb"
        labels = web.shown("{{json .Config.Labels}}")
        assert '"com.docker.compose.project":"shop"' in labels
        assert '"com.docker.compose.service":"web"' in labels
        assert web.shown("{{.HostConfig.Memory}}") == str(32 << 20)
        assert "shop_data" in tinybox("volume", "ls", "-q").stdout.split()
        shop.down()
        assert shop.rows() == []
        assert "shop_data" not in tinybox("volume", "ls", "-q").stdout.split()


def test_up_again_changes_nothing(tinybox: Command, tmp_path: Path) -> None:
    """The same file leaves the same containers; a stopped one is started; a changed service gets a new container."""
    with project(tinybox, tmp_path, TWO) as shop:
        shop.up()
        before = {name: (shop.life(name).id, shop.life(name).pid) for name in ("web", "db")}
        shop.up()
        assert {name: (shop.life(name).id, shop.life(name).pid) for name in ("web", "db")} == before
        assert shop("stop", "-t", "5", "web").returncode == 0
        assert shop.states() == {"db": "running", "web": "exited"}
        shop.up()
        assert shop.life("web").id == before["web"][0]
        shop.write(TWO.replace("32m", "64m"))
        shop.up()
        assert shop.life("web").id != before["web"][0]
        assert shop.life("db").id == before["db"][0]


def test_a_service_waits_until_another_is_healthy_and_a_job_is_done(tinybox: Command, tmp_path: Path) -> None:
    """`web` starts only when `job` has written its file and `db` is healthy."""
    text = """
services:
  web:
    <<: *stays
    command: [sh, -c, "ls /data; trap exit TERM; while :; do sleep 0.05; done"]
    volumes: ["data:/data"]
    depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}
  db:
    <<: *stays
    command: [sh, -c, "sleep 0.5; touch /data/ready; trap exit TERM; while :; do sleep 0.05; done"]
    volumes: ["data:/data"]
    healthcheck: {test: [CMD, test, -e, /data/ready], interval: 100ms, retries: 1000}
  job: {<<: *stays, command: touch /data/done, volumes: ["data:/data"]}
volumes: {data: }
"""
    with project(tinybox, tmp_path, text) as shop:
        shop.up("--wait", "--wait-timeout", "60")
        assert shop.states() == {"db": "running", "job": "exited", "web": "running"}
        until(shop.life("web").log)  # it runs before it has printed anything
        assert shop.life("web").log().split() == ["done", "ready"]
        assert {row["Service"]: row["Health"] for row in shop.rows()}["db"] == "healthy"
        shop.up("--wait")  # the job has been done, and is not repeated
        assert shop.states()["job"] == "exited"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("command: [sh, -c, 'echo oh no; exit 3']", "did not complete successfully: exit status 3"),
        ("command: /no/such/program", "no such file"),
        ("user: nobody-known", "no user nobody-known in the image"),
        ("image: localhost:1/no-such-image", "localhost:1"),
    ],
)
def test_a_failed_up_leaves_nothing_half_made(tinybox: Command, tmp_path: Path, change: str, says: str) -> None:
    """If one service cannot start, those before it and the volume are removed again; the error names it."""
    text = f"""
services:
  web: {{<<: *stays, depends_on: {{job: {{condition: service_completed_successfully}}}}, volumes: ["data:/data"]}}
  job: {{<<: *stays, depends_on: [db], {change}}}
  db: {{<<: *stays}}
volumes: {{data: }}
"""
    with project(tinybox, tmp_path, text) as shop:
        done = shop("up", "-d")
        assert done.returncode == 1, done
        last = done.stderr.splitlines()[-1]
        assert last.startswith("tinybox: "), done.stderr
        assert says in last
        assert ("job-1  | oh no" in done.stderr) == ("oh no" in change)
        assert shop.rows() == []
        assert "shop_data" not in tinybox("volume", "ls", "-q").stdout.split()
        shop.write(TWO)  # the control: without the fault the project comes up
        shop.up()
        assert shop.states() == {"db": "running", "web": "running"}


def test_an_unhealthy_service_fails_the_wait(tinybox: Command, tmp_path: Path) -> None:
    """--wait names the unhealthy service; without it the same file comes up."""
    text = "services: {db: {<<: *stays, healthcheck: {test: 'false', interval: 50ms, retries: 2}}}\n"
    with project(tinybox, tmp_path, text) as shop:
        done = shop("up", "--wait")
        assert done.returncode == 1
        assert "service db (" in done.stderr
        assert "is unhealthy" in done.stderr
        assert shop.rows() == []
        shop.up()
        assert shop.states() == {"db": "running"}


def test_a_program_that_ends_at_once_fails_the_wait(tinybox: Command, tmp_path: Path) -> None:
    """--wait without a healthcheck waits a moment: a server that ends on its configuration is not up."""
    with project(tinybox, tmp_path, "services: {db: {<<: *stays, command: [sh, -c, 'exit 3']}}\n") as shop:
        done = shop("up", "--wait")
        assert done.returncode == 1, done
        assert "has ended with status 3" in done.stderr
        shop.up()


def test_in_the_foreground_all_output_is_shown_and_ctrl_c_stops_all(tinybox: Command, tmp_path: Path) -> None:
    """Each line has the name of its service, from the first to the last; the containers stay, at rest."""
    with project(tinybox, tmp_path, TWO) as shop, tinybox.start(*shop.words("up")) as process:
        assert process.stdout is not None
        with patience(PATIENCE):
            first = {process.stdout.readline() for _ in range(2)}
        assert first == {"web-1  | hello from web\n", "db-1   | hello from db\n"}
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert sorted(out.splitlines()) == ["db-1   | bye", "web-1  | bye"]
        assert process.returncode == 130, err
        assert shop.states() == {"db": "exited", "web": "exited"}


def test_in_the_foreground_up_ends_with_the_last_container(tinybox: Command, tmp_path: Path) -> None:
    """When all containers have ended there is no more output to wait for."""
    with project(tinybox, tmp_path, "services: {job: {<<: *stays, command: echo done}}\n") as shop:
        done = shop("up")
        assert (done.returncode, done.stdout) == (0, "job-1  | done\n")


def test_a_job_can_end_the_others_and_give_its_status(tinybox: Command, tmp_path: Path) -> None:
    """--exit-code-from stops all when one ends, and ends with the status of that service."""
    text = "services: {web: {<<: *stays}, job: {<<: *stays, command: [sh, -c, 'exit 6'], depends_on: [web]}}\n"
    with project(tinybox, tmp_path, text) as shop:
        done = shop("up", "--exit-code-from", "job", "-t", "5")
        assert done.returncode == 6, done
        assert shop.states() == {"job": "exited", "web": "exited"}


def test_logs_name_their_service(tinybox: Command, tmp_path: Path) -> None:
    """With the service's name before each line or without, of all services or one, all lines or the last."""
    with project(tinybox, tmp_path, TWO) as shop:
        shop.up()
        until(lambda: len(shop("logs").stdout.splitlines()) == 2)
        assert sorted(shop("logs").stdout.splitlines()) == ["db-1   | hello from db", "web-1  | hello from web"]
        assert shop("logs", "--no-log-prefix", "web").stdout == "hello from web\n"
        assert shop("logs", "--tail", "0").stdout == ""
        one_line(shop("logs", "nobody"), 1, "service nobody", "no such service")
        with tinybox.start(*shop.words("logs", "-f", "db")) as process:
            assert process.stdout is not None
            with patience(PATIENCE):
                assert process.stdout.readline() == "db-1  | hello from db\n"
            shop("stop", "db")
            assert process.communicate(timeout=PATIENCE)[0] == "db-1  | bye\n"


def test_a_reader_that_goes_away_is_no_error(tinybox: Command, tmp_path: Path) -> None:
    """`logs -f | head -1` ends without a message when the pipe of the next line has no reader."""
    with project(tinybox, tmp_path, TWO) as shop:
        shop.up()
        with tinybox.start(*shop.words("logs", "-f", "db")) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            with patience(PATIENCE):
                assert process.stdout.readline() == "db-1  | hello from db\n"
                process.stdout.close()
                shop("stop", "db")
                assert process.stderr.read() == ""
            process.wait(PATIENCE)


def test_exec_runs_in_the_service(tinybox: Command, tmp_path: Path) -> None:
    """Its status is the program's, or 127 without a program; a service without a container is an error."""
    with project(tinybox, tmp_path, TWO) as shop:
        one_line(shop("exec", "web", "true"), 1, "service web", "has no container")
        shop.up()
        one_line(shop("exec", "web", "no-such-program"), 127, "no-such-program")
        assert shop("exec", "-it", "web", "true").returncode == 0  # as users type it
        done = shop("exec", "-T", "-e", "WHAT=env", "web", "sh", "-c", "echo $NAME $WHAT; exit 5")
        assert (done.returncode, done.stdout) == (5, "web env\n")


def test_an_orphan_is_named_and_removed_on_request(tinybox: Command, tmp_path: Path) -> None:
    """A container whose service has left the file stays until --remove-orphans; with -p alone its label finds it."""
    with project(tinybox, tmp_path, TWO) as shop:
        shop.up()
        shop.write("services: {db: {<<: *stays, environment: {NAME: db}}}\n")
        done = shop("down")
        assert "shop-web-1" in done.stderr
        assert shop.states() == {"web": "running"}
        shop.up("--remove-orphans")
        assert shop.states() == {"db": "running"}
        said = tinybox.start("compose", "-p", "shop", "down", cwd="/").communicate(timeout=PATIENCE)
        assert shop.states() == {}, said


def test_an_orphan_keeps_its_network(tinybox: Command, tmp_path: Path) -> None:
    """`down` without --remove-orphans reports that the network stays, and does the rest; it succeeds, as in docker."""
    text = f"services: {{a: {{image: busybox, command: {STAYS}}}, b: {{image: busybox, command: {STAYS}}}}}\n"
    with project(tinybox, tmp_path, text) as shop:
        shop.up()
        shop.write("services: {a: {image: busybox}}\nvolumes: {data: }\n")
        done = shop("down", "-v")
        assert (done.returncode, shop.states()) == (0, {"b": "running"}), done
        assert 'Network shop_default  stays: has active endpoints (name:"shop-b-1"' in done.stderr
        assert shop.life("b").inside("ip address show eth0")


def test_containers_stop_side_by_side_but_after_those_that_depend_on_them(tinybox: Command, tmp_path: Path) -> None:
    """Three containers of two seconds each need less than four; `db` is stopped after `web` has ended."""
    bye = "trap 'cat /proc/uptime > /d/$$ME-asked; sleep 2; cat /proc/uptime > /d/$$ME-ended; exit' TERM"
    slow = f'image: busybox, command: [sh, -c, "{bye}; touch /d/$$ME; while :; do sleep 0.05; done"]'
    slow += f", network_mode: none, volumes: ['{tmp_path}:/d']"
    text = f"""
services:
  web: {{{slow}, environment: {{ME: web}}, depends_on: [db]}}
  db: {{{slow}, environment: {{ME: db}}}}
  a: {{{slow}, environment: {{ME: a}}}}
  b: {{{slow}, environment: {{ME: b}}}}
"""
    with project(tinybox, tmp_path, text) as shop:
        for command in (("stop",), ("down",)):
            shop.up()
            until(lambda: all((tmp_path / name).exists() for name in ("web", "db", "a", "b")))
            assert shop(*command).returncode == 0
            told = {path.name: float(path.read_text().split()[0]) for path in tmp_path.glob("*-*ed")}
            assert told["db-asked"] >= told["web-ended"]
            first = max(told[f"{name}-asked"] for name in ("web", "a", "b"))
            assert first < min(told[f"{name}-ended"] for name in ("web", "a", "b"))
            for path in tmp_path.glob("[!c]*"):
                path.unlink()


def test_an_unknown_service_is_an_error(tinybox: Command, tmp_path: Path) -> None:
    """A mistyped name stops nothing and restarts nothing, and the error lists the services."""
    with project(tinybox, tmp_path, TWO) as shop:
        shop.up()
        for command in ("stop", "start", "restart", "ps", "logs"):
            one_line(shop(command, "wbe"), 1, "service wbe", "no such service (there are db, web)")
        assert shop.states() == {"db": "running", "web": "running"}


def test_a_project_is_known_by_its_name_alone(tinybox: Command, tmp_path: Path) -> None:
    """Without the file its containers can be stopped, started, restarted, and their logs read."""
    with project(tinybox, tmp_path, TWO) as shop:
        shop.up()
        pid = shop.life("db").pid
        elsewhere = [("restart", "db"), ("logs", "--no-log-prefix", "db"), ("stop",), ("start",)]
        outs = []
        for words in elsewhere:
            with tinybox.start("compose", "-p", "shop", *words, cwd="/") as process:
                outs.append(process.communicate(timeout=PATIENCE))
                assert process.returncode == 0, outs
        assert shop.life("db").pid != pid
        assert outs[1][0].startswith("hello from db\nbye\n")
        assert shop.states() == {"db": "running", "web": "running"}


def test_a_dependent_service_is_restarted_with_its_dependency(tinybox: Command, tmp_path: Path) -> None:
    """With `restart: true` in depends_on: when the other is made again or restarted; without it, it goes on."""
    text = """
services:
  web: {<<: *stays, depends_on: {db: {condition: service_started, restart: true}}}
  api: {<<: *stays, depends_on: {db: {condition: service_started}}}
  db: {<<: *stays, environment: {NAME: one}}
"""
    with project(tinybox, tmp_path, text) as shop:
        shop.up()
        pids = {name: shop.life(name).pid for name in ("web", "api")}
        shop.write(text.replace("one", "two"))
        shop.up()
        again = {name: shop.life(name).pid for name in ("web", "api")}
        assert (again["web"] != pids["web"], again["api"] == pids["api"]) == (True, True)
        assert shop("restart", "db").returncode == 0
        assert (shop.life("web").pid != again["web"], shop.life("api").pid == pids["api"]) == (True, True)


def test_a_dependency_that_is_not_required_may_fail(tinybox: Command, tmp_path: Path) -> None:
    """The service comes up without it, with a warning; a required one ends the whole project."""
    text = """
services:
  web: {<<: *stays, depends_on: {job: {condition: service_completed_successfully, required: false}}}
  job: {<<: *stays, command: [sh, -c, "exit 3"]}
"""
    with project(tinybox, tmp_path, text) as shop:
        assert "service web: goes on without job: service job" in shop.up()
        assert shop.states() == {"job": "exited", "web": "running"}
        shop.down()
        shop.write(text.replace("false", "true"))
        assert shop("up", "-d").returncode == 1


def test_restart_and_start(tinybox: Command, tmp_path: Path) -> None:
    """`restart` makes new processes of the same containers; `start` starts containers at rest."""
    with project(tinybox, tmp_path, TWO) as shop:
        shop.up()
        web, pid = shop.life("web").id, shop.life("web").pid
        assert shop("restart", "web").returncode == 0
        assert (shop.life("web").id, shop.states()["web"]) == (web, "running")
        assert shop.life("web").pid != pid
        assert shop("stop").returncode == 0
        assert shop.states() == {"db": "exited", "web": "exited"}
        assert shop("start").returncode == 0
        assert shop.states() == {"db": "running", "web": "running"}


def test_the_lock_of_a_project_does_not_live_on_in_its_monitors(tinybox: Command, tmp_path: Path) -> None:
    """No monitor has the lock file open: otherwise a killed `up` would block all later commands."""
    with project(tinybox, tmp_path, TWO) as shop:
        shop.up()
        where = open_files_of(shop.life("web").monitor)
        assert where  # the control: open files can be listed
        assert not [path for path in where if "compose-shop" in path]


def test_variables_come_from_the_environment_and_dotenv(tinybox: Command, tmp_path: Path) -> None:
    """`config` shows the file as tinybox reads it; a missing required variable is an error with its line."""
    with project(tinybox, tmp_path, "services: {a: {image: '${IMAGE:?say which}', command: echo $$HOME}}\n") as shop:
        done = shop("config")
        assert done.returncode == 1
        assert "compose.yaml:5: services.a.image: the variable IMAGE is required: say which" in done.stderr
        (tmp_path / ".env").write_text("IMAGE=busybox\n")
        shown = shop("config").stdout
        assert "image: busybox" in shown
        assert "- echo\n    - $$HOME\n" in shown
        (tmp_path / "again.yaml").write_text(shown)
        piped = tinybox("compose", "-f", "-", "-p", "shop", "config", text=shown)
        assert piped.stdout == shown, piped
        again = tinybox("compose", "-f", str(tmp_path / "again.yaml"), "config")
        assert again.stdout == shown


def test_networks_of_a_project(tinybox: Command, tmp_path: Path) -> None:
    """A service has its name, its aliases and the requested address on its own networks, and not on others."""
    stay = STAYS.replace("$$NAME", "me")
    text = f"""
services:
  a: {{image: busybox, command: {stay}, networks: {{front: , back: {{aliases: [db], ipv4_address: 10.77.0.9}}}}}}
  b: {{image: busybox, command: {stay}, networks: [back]}}
  c: {{image: busybox, command: {stay}, networks: [front]}}
  d: {{image: busybox, command: {stay}, network_mode: "service:a"}}
networks:
  front:
  back: {{internal: true, ipam: {{config: [{{subnet: 10.77.0.0/24}}]}}}}
"""
    with project(tinybox, tmp_path, text) as shop:
        shop.up()
        assert (
            shop.life("b")
            .inside("ping -c 1 -W 20 a > /dev/null && ping -c 1 -W 20 db | head -1")
            .startswith("PING db (10.77.0.9)")
        )
        assert shop.life("c").inside("ping -c 1 -W 20 a > /dev/null; ping -c 1 -W 1 b 2>&1 | head -1") == (
            "ping: bad address 'b'"
        )
        assert shop.life("d").inside("ip -4 addr | grep -c 10.77.0.9") == "1"
        assert "default" not in shop.life("b").inside("ip route")
        names = {"shop_front", "shop_back"}
        assert names <= set(tinybox("network", "ls", "--format", "{{.Name}}").stdout.split())
        shop.down()
        assert not names & set(tinybox("network", "ls", "--format", "{{.Name}}").stdout.split())


def test_a_new_container_keeps_the_nameless_volumes(tinybox: Command, tmp_path: Path) -> None:
    """Its data goes on in the next container, survives one that fails, and is removed by `down -v`."""
    text = "services: {a: {<<: *stays, environment: {NAME: one}, volumes: [/data, {type: volume, target: /more}]}}\n"
    with project(tinybox, tmp_path, text) as shop:
        before = tinybox("volume", "ls", "-q").stdout
        shop.up()
        shop.life("a").inside("echo dear > /data/kept; echo too > /more/kept")
        shop.write(text.replace("one", "two").replace("{<<", "{healthcheck: {test: 'false', interval: 50ms}, <<"))
        assert shop("up", "--wait").returncode == 1
        shop.write(text.replace("{<<", "{user: nobody-known, <<"))
        assert "no user nobody-known" in shop("up", "-d").stderr
        assert shop.states() == {"a": "running"}
        shop.write(text.replace("one", "two"))
        shop.up()
        assert shop.life("a").inside("echo $NAME; cat /data/kept /more/kept") == "two\ndear\ntoo"
        shop.down()
        assert tinybox("volume", "ls", "-q").stdout == before


def test_a_file_is_mounted_as_a_file_and_a_missing_directory_is_made(tinybox: Command, tmp_path: Path) -> None:
    """The short form takes an existing path, also a file; a missing one is made as a directory."""
    (tmp_path / "app.conf").write_text("port 80")
    text = """
services: {a: {<<: *stays, volumes: ["./app.conf:/etc/app.conf:ro", "./new/data:/data"]}}
"""
    with project(tinybox, tmp_path, text) as shop:
        shop.up()
        assert shop.life("a").inside("cat /etc/app.conf; touch /data/kept") == "port 80"
        assert (tmp_path / "new/data/kept").exists()


def test_a_changed_network_is_made_again(tinybox: Command, tmp_path: Path) -> None:
    """With `internal: true` added, containers are connected to the new network, also those not named in the command."""
    text = f"""
services:
  a: {{image: busybox, command: {STAYS}}}
  b: {{image: busybox, command: {STAYS}}}
networks: {{default: {{internal: NO}}}}
"""
    with project(tinybox, tmp_path, text.replace("NO", "false")) as shop:
        shop.up()
        before = {name: shop.life(name).id for name in ("a", "b")}
        assert "default via" in shop.life("b").inside("ip route")
        shop.up()
        pid = shop.life("b").pid
        shop.write(text.replace("NO", "true"))
        shop.up("a")
        assert "default via" not in shop.life("a").inside("ip route")
        assert shop.life("b").inside("ping -c 1 -W 5 a > /dev/null; ip route").count("default via") == 0
        assert {name: shop.life(name).id for name in ("a", "b")} == before
        assert shop.life("b").pid != pid


def test_wait_timeout_covers_all_services_together(tinybox: Command, tmp_path: Path) -> None:
    """A service that becomes healthy late does not give the next one the whole time again."""
    check = "healthcheck: {test: test -e /ready, interval: 100ms, retries: 1000}"
    late = "command: [sh, -c, 'sleep 5; touch /ready; sleep 600'], stop_signal: KILL"
    text = f"services: {{a: {{<<: *stays, {late}, {check}}}, b: {{<<: *stays, environment: {{NAME: b}}, {check}}}}}\n"
    with (
        project(tinybox, tmp_path, text) as shop,
        tinybox.start(*shop.words("up", "--wait", "--wait-timeout", "7")) as process,
    ):
        assert process.stderr is not None
        with patience(PATIENCE):
            said = [(line, time.monotonic()) for line in process.stderr]
        when = {line.strip(): at for line, at in said}
        assert "is not healthy after 7 s" in said[-1][0]
        assert when["b-1  | hello from b"] - when["Container shop-b-1  Started"] < 7 + 4


def test_an_external_network_or_volume_is_used_and_stays(tinybox: Command, tmp_path: Path) -> None:
    """An external object must exist, is not made, and is not removed."""
    stay = STAYS.replace("$$NAME", "me")
    text = f"""
services: {{a: {{image: busybox, command: {stay}, networks: [out], volumes: ["kept:/kept"]}}}}
networks: {{out: {{external: true, name: outside}}}}
volumes: {{kept: {{external: true}}}}
"""
    with project(tinybox, tmp_path, text) as shop:
        one_line(shop("up", "-d"), 1, "networks.out", "there is no network outside", "tinybox network create outside")
        assert tinybox("network", "create", "outside").returncode == 0
        try:
            one_line(shop("up", "-d"), 1, "volumes.kept", "there is no volume kept")
            assert tinybox("volume", "create", "kept").returncode == 0
            shop.up()
            shop.down()
            assert "kept" in tinybox("volume", "ls", "-q").stdout.split()
        finally:
            tinybox("volume", "rm", "kept")
            assert tinybox("network", "rm", "outside").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_up_does_not_block_later_commands(
    tinybox: Command, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C during the wait removes what was made; after kill -9 it stays, and `down` or `up` go on from there."""
    text = """
services:
  web: {<<: *stays, depends_on: {db: {condition: service_healthy}}}
  db: {<<: *stays, healthcheck: {test: [CMD, test, -e, /ready], interval: 50ms, retries: 1000}}
"""
    with project(tinybox, tmp_path, text) as shop:
        with tinybox.start(*shop.words("up", "-d")) as process:
            assert process.stderr is not None
            with patience(PATIENCE):
                said = [line.rstrip() for line in iter(process.stderr.readline, " Container shop-db-1  Waiting\n")]
            assert said[-1] == " Container shop-db-1  Started"
            assert shop.states() == {"db": "running"}
            process.send_signal(number)
            process.communicate(timeout=PATIENCE)
            assert process.returncode == (130 if number == signal.SIGINT else -number)
        assert shop.states() == ({} if number == signal.SIGINT else {"db": "running"})
        if number == signal.SIGKILL:
            assert shop("exec", "-T", "db", "touch", "/ready").returncode == 0
            shop.up("--wait")
            assert shop.states() == {"db": "running", "web": "running"}
        shop.down()
        assert shop.states() == {}


def test_a_service_has_the_volumes_of_another(tinybox: Command, tmp_path: Path) -> None:
    """`volumes_from` mounts the volumes of `db`, which starts first. `web` is made again only if `db` is made again."""
    text = """
services:
  web: {<<: *stays, volumes_from: ["db:ro"]}
  db: {<<: *stays, volumes: [/data], mem_limit: 32m}
"""
    with project(tinybox, tmp_path, text) as shop:
        said = shop.up()
        assert said.index("shop-db-1  Started") < said.index("shop-web-1  Started")
        shop.life("db").inside("echo one > /data/file")
        assert shop.life("web").inside("cat /data/file; touch /data/x 2>&1 || true").startswith("one\ntouch: ")
        before = {name: shop.life(name).id for name in ("web", "db")}
        assert shop("stop", "-t", "5").returncode == 0
        shop.up()
        assert {name: shop.life(name).id for name in ("web", "db")} == before
        shop.write(text.replace("32m", "64m"))
        shop.up()
        assert before["web"] != shop.life("web").id
        assert shop.life("web").inside("cat /data/file") == "one"
        shop.down()
    assert tinybox("volume", "ls", "-q").stdout == ""


def test_an_image_is_made_as_the_policy_says(tinybox: Command, tmp_path: Path) -> None:
    """`always` makes an image once for all services, `never` makes none; an image without a recipe is an error."""
    text = """
services:
  a: {<<: *stays, pull_policy: always}
  b: {<<: *stays, pull_policy: always}
"""
    with project(tinybox, tmp_path, text) as shop:
        assert shop.up().count("made from host-busybox") == 1
        shop.write(text.replace("always", "never"))
        assert "made from" not in shop.up()
        rest = ", b: {<<: *stays}}\n"
        shop.write("services: {a: {image: nginx, pull_policy: never}" + rest)
        one_line(shop("up", "-d"), 1, "no such image")
        shop.write("services: {a: {image: localhost:1/no-recipe, pull_policy: always}" + rest)
        one_line(shop("up", "-d"), 1, "registry localhost:1: cannot be reached")
