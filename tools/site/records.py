"""The recorded runs of the site: each lab, and pages of a run, of an image's layers and of a live view; needs root.

A record is kept in build/site-records, and made again when the code that it shows has changed, or when the lab did not
pass: most often other programs used the CPU.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.lab import course
from tools.documents import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

TINYBOX = str(Path(sys.executable).with_name("tinybox"))
IMAGE = "alpine"
LONGEST = 120  # seconds of one record
WIDTH = "88"  # columns
LABS = CHECKOUT / "tinybox/lab"
BUSY = "for i in 1 2 3 4 5; do echo $i >/file$i; head -c ${i}m /dev/zero >/dev/shm/grows; sleep 1; done"
PAGES = {  # name: the command whose option writes the page
    "run": ("run", "--rm", "--network", "none", "-m", "64m", "--explain=html", "-o", "{page}", IMAGE, "echo", "hello"),
    "layers": ("layers", "--html", "{page}", IMAGE),
}


def make(records: Path, say: Callable[[str], object] = print) -> None:
    """Make the records that are missing or old; a lab that fails or is INCONCLUSIVE on this host is recorded so."""
    (records / "labs").mkdir(parents=True, exist_ok=True)
    for name in course.ids():
        record_lab(name, records / "labs", say)
    state = _state_of(*sorted((CHECKOUT / "tinybox/seeing").rglob("*.*")))
    for name, words in PAGES.items():
        page, mark = records / f"{name}.html", records / f"{name}.state"
        if not (page.is_file() and mark.is_file() and mark.read_text() == state):
            say(f"site: record {name}")
            _run(records, *(word.format(page=page.name) for word in words)).check_returncode()
            mark.write_text(state)
    if not (records / "watch.html").is_file() or (records / "watch.state").read_text() != state:
        say("site: record watch")
        _record_watch(records / "watch.html")
        (records / "watch.state").write_text(state)


def record_lab(name: str, folder: Path, say: Callable[[str], object]) -> None:
    """Record one run of a lab: its output, its page with pictures, and the host's facts."""
    state = _state_of(*sorted(LABS.glob("*.py")), LABS / "catalogue" / f"{name.replace('-', '_')}.py")
    facts = folder / f"{name}.json"
    if facts.is_file() and json.loads(facts.read_text())["state"] == state:
        return
    say(f"site: record the lab {name}")
    done = _run(folder, "lab", "run", name, "--image", IMAGE, "--html", f"{name}.html")
    if not done.stdout:
        raise SystemExit(f"site: the lab {name} prints nothing: {done.stderr}")
    (folder / f"{name}.txt").write_text(done.stdout)
    known = {
        "state": state if re.search(r"^PASS\b", done.stdout, re.MULTILINE) else "",
        "kernel": os.uname().release,
        "cgroups": hierarchies().mode,
    }
    facts.write_text(json.dumps(known))


def _record_watch(page: Path) -> None:
    """Record the live view of a box that writes files and fills memory for some seconds."""
    folder, name = page.parent, f"site-{os.getpid()}"
    _run(
        folder, "run", "-d", "--name", name, "--network", "none", "-m", "64m", IMAGE, "sh", "-c", BUSY
    ).check_returncode()
    try:
        _run(folder, "watch", "--html", page.name, "--looks", "20", name).check_returncode()
    finally:
        _run(folder, "rm", "-f", name)


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run tinybox in *folder*, so that the commands in recorded pages have short paths, with lines that fit a page."""
    settings = {**os.environ, "COLUMNS": WIDTH}
    return subprocess.run(
        [TINYBOX, *words], cwd=folder, env=settings, capture_output=True, text=True, timeout=LONGEST, check=False
    )


def _state_of(*files: Path) -> str:
    """Return a digest of *files*: with another one, their records are old."""
    digest = hashlib.sha256()
    for path in files:
        if path.suffix in (".py", ".html", ".css", ".js"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
