"""Write tests/data/docker_statuses.json: the exit status of an installed docker client for lines that are wrong.

    python -m tools.docker_status_facts > tests/data/docker_statuses.json

The client talks to a daemon of this file, which has no container, image, volume and network: it answers every question
with 404, "no such thing". So the status is the client's own decision. Only facts are kept: the line and the status.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import socketserver
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

LINES = """
run
run --nosuch busybox
run -m nonsense busybox
run --pull often busybox
run --pull never missing
run -it missing
create
create --nosuch busybox
create -m nonsense busybox
create --pull often busybox
create --pull never missing
create --health-interval -1s busybox
create --health-interval 1 busybox
create --health-retries -1 busybox
create --label =value busybox
create --ulimit nosuch=1 busybox
create -a nosuch busybox
exec
exec missing
exec --nosuch missing true
exec missing true
exec -d missing true
start
start missing
start missing other
start -a missing
start -a missing other
rmi
rmi missing
rmi missing other
rmi -f missing
rmi --nosuch missing
rm
rm missing
rm missing other
rm -f missing
rm -f missing other
save missing
save missing other
save -o /tmp missing
load -i /nosuch
load --nosuch
import
import /nosuch
cp
cp a b
cp missing:/etc missing:/etc
cp missing:/etc .
cp /etc/hostname missing:/
diff missing
wait missing
wait missing other
kill missing
kill missing other
kill -s NOSUCH missing
stop missing
stop missing other
stop -t nonsense missing
restart missing
pause missing
unpause missing
rename missing
rename missing new
update missing
update -m 64m missing
update -m nonsense missing
logs
logs missing
logs missing other
logs --tail
top missing
stats --no-stream missing
attach missing
port missing
port missing 80
export missing
commit missing
history missing
tag missing new
tag missing
inspect
inspect missing
inspect --type image missing
inspect --type nonsense missing
inspect --format {{ missing
inspect --format {{nosuch}} missing
image inspect --format {{end}} missing
container inspect --format {{if}} missing
volume inspect --format {{ missing
network inspect --format {{ missing
container inspect missing
image inspect missing
image rm missing
volume inspect missing
volume rm missing
volume rm missing other
network inspect missing
network rm missing
network rm -f missing
network rm missing other
network rm -f missing
network connect missing other
network disconnect missing other
ps extra
ps --nosuch
ps --filter nonsense
ps --format {{nosuch
images one two
images --filter nonsense
volume ls --filter nonsense
network ls --filter nonsense
events --filter nonsense
events --until 0s --format {{nosuch
system prune -f --filter nonsense
system prune -f --volumes --filter until=1h
builder prune -f --filter nonsense
info extra
info --format {{
version --format {{
version extra
build
build --nosuch .
nosuch
container
container nosuch
container ls --nosuch
image nosuch
volume nosuch
network nosuch
system nosuch
--nosuch
--version
help ps
run --help
"""


class Empty(BaseHTTPRequestHandler):
    """A daemon of the API 1.50 that has nothing."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        place = re.sub(r"^/v1\.\d+", "", self.path).partition("?")[0]
        known: dict[str, dict[str, Any]] = {"/_ping": {}, "/info": {"OSType": "linux"}}
        body = json.dumps(known.get(place, {"message": f"no such thing: {place}"})).encode()
        self.send_response(200 if place in known else 404)
        headers = {"Api-Version": "1.50", "Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  the names that the base class calls

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Daemon(socketserver.ThreadingUnixStreamServer):
    """A server on a socket of the file system; the base class of the handler wants a client's address."""

    daemon_threads = True

    def get_request(self) -> tuple[Any, Any]:
        """Return a connection, with an address."""
        return super().get_request()[0], ("client", 0)


def main() -> None:
    """Print the facts as JSON, a line of the command line each."""
    version = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        Daemon(f"{folder}/socket", Empty) as daemon,
    ):
        threading.Thread(target=daemon.serve_forever, daemon=True).start()
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder, "DOCKER_BUILDKIT": "0"}
        for line in filter(None, LINES.splitlines()):
            words = ["docker", "-H", f"unix://{folder}/socket", *shlex.split(line)]
            done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, check=False, env=environment)
            found.append(f"  {json.dumps(line)}: {done.returncode}")
        daemon.shutdown()
    print(f'{{\n "version": {json.dumps(version.rstrip(","))},\n "lines": {{\n' + ",\n".join(found) + "\n }\n}")


if __name__ == "__main__":
    main()
