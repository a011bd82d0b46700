"""Write tests/data/docker_api.json: the fields of docker's JSON, with their types.

    npm pack @docker/node-sdk@0.0.17 && tar xf docker-node-sdk-0.0.17.tgz
    python -m tools.docker_api_facts package/lib/types > tests/data/docker_api.json

What `inspect` prints comes from the daemon. Its fields are those of the API's definitions, which Docker's own library
for TypeScript contains, made from the API's schema. What other commands print with --format json comes from the client:
an installed docker client prints it here, in answer to a server that knows almost nothing. Only facts are kept: names
of fields and kinds of values.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socketserver
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# The definitions that `inspect` and `events` print; those that they refer to are added.
ROOTS = "ContainerInspectResponse ImageInspect Volume NetworkInspect EventMessage".split()
UNUSED = {"ClusterVolume", "PeerInfo", "OCIDescriptor", "ImageManifestSummary"}  # of swarm, and of containerd's store
PLAIN = {"string": "text", "number": "number", "boolean": "bool", "any": "any", "object": "any", "Date": "text"}
FIELD = re.compile(r"^ {4}'?([\w.]+)'?\??: ((?:[^;]|\n)+);", re.MULTILINE)
ID = "a" * 64
ANSWERS: dict[str, Any] = {
    "/containers/json": [{"Id": ID, "State": "running"}],
    "/images/json": [{"Id": f"sha256:{ID}", "RepoTags": ["x:1"]}],
    "/networks": [{"Id": ID, "Name": "x"}],
    "/volumes": {"Volumes": [{"Name": "x"}]},
    "/images/x/history": [{"Id": ID}],
    "/images/search": [{"name": "x"}],
    "/system/df": {
        "LayersSize": 1,
        "Images": [{"Id": f"sha256:{ID}", "RepoTags": ["x:1"]}],
        "Containers": [{"Id": ID}],
        "Volumes": [{"Name": "x", "UsageData": {"Size": 1, "RefCount": 1}}],
        "BuildCache": [{"ID": ID}],
    },
    f"/containers/{ID}/stats": {"name": "/x", "id": ID},
}
COMMANDS = ("ps", "images", "network ls", "volume ls", "history x", "search x", "system df", "system df -v",
            "info", "version", "stats --no-stream --no-trunc")  # fmt: skip


class Daemon(BaseHTTPRequestHandler):
    """Answers each request of the API with an almost empty document."""

    def answer(self) -> None:
        """Send the answer, and the headers that the client needs."""
        place = re.sub(r"^/v[\d.]+", "", self.path.partition("?")[0])
        body = b"OK" if place == "/_ping" else json.dumps(ANSWERS.get(place, {})).encode()
        self.send_response(200)
        for name, value in {"Api-Version": "1.50", "Ostype": "linux", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = answer  # noqa: N815  the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Print nothing; a unix socket has no address to print."""


@contextlib.contextmanager
def daemon() -> Iterator[str]:
    """Run the server on a socket, and give the value of DOCKER_HOST for it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socketserver.ThreadingUnixStreamServer(f"{folder}/socket", Daemon) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{folder}/socket"
        server.shutdown()


def kind_of(value: Any) -> Any:
    """Return the kind of a *value* of JSON: a word, or the kinds of an object's fields."""
    if isinstance(value, dict):
        return {name: kind_of(inner) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return [kind_of(value[0])] if value else ["any"]
    return {str: "text", bool: "bool", int: "number", float: "number"}.get(type(value), "any")


def printed() -> dict[str, Any]:
    """Return what the client prints for each of COMMANDS with --format json, as names and kinds."""
    found = {}
    with daemon() as host:
        for command in COMMANDS:
            words = ["docker", *command.split(), "--format", "json"]
            done = subprocess.run(
                words, capture_output=True, text=True, check=True, env=os.environ | {"DOCKER_HOST": host}
            )
            found[command.removesuffix(" x").partition(" --")[0]] = kind_of(json.loads(done.stdout.splitlines()[0]))
    return found


def kind_in(text: str, texts: set[str]) -> Any:
    """Return the kind of a TypeScript type; *texts* are names of types that are a text; a definition is ``#Name``."""
    text = " ".join(text.split()).removesuffix(" | null").strip("()")
    if inner := re.fullmatch(r"Array<(.*)>", text):
        return [kind_in(inner[1], texts)]
    if inner := re.fullmatch(r"\{ \[key: string\]: (.*) \}", text):
        return {"*": kind_in(inner[1], texts)}
    return PLAIN.get(text) or ("text" if text in texts else f"#{text}")


def definitions(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the fields of each definition that ROOTS need, from the files of docker's library."""
    found: dict[str, dict[str, Any]] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop(0)
        if name in found or name in UNUSED:
            continue
        source = re.sub(r"/\*.*?\*/", "", (folder / f"{name}.ts").read_text(), flags=re.DOTALL)
        body = source[source.index("export interface") :].partition("\n}")[0]
        texts = set(re.findall(r"export type (\w+) =\s*\|?\s*'", source))
        found[name] = {field: kind_in(text, texts) for field, text in FIELD.findall(body)}
        waiting += re.findall(r"#(\w+)", json.dumps(found[name]))
    return found


def main() -> None:
    """Print the facts as JSON, a line for each command and definition."""
    client = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    parts = {"printed": printed(), "definitions": definitions(Path(sys.argv[1]))}
    print(f'{{\n "client": "{client.rstrip(",")}",\n "library": "@docker/node-sdk 0.0.17",')
    texts = []
    for title, known in parts.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(fields)}" for name, fields in sorted(known.items())]
        texts.append(f' "{title}": {{\n' + ",\n".join(lines) + "\n }")
    print(",\n".join(texts) + "\n}")


if __name__ == "__main__":
    main()
