"""Make the site: record runs (as root), lay out the sources, build them with Sphinx, and check every link.

    python -m tools.site [--no-records] [DIR]

The result is in DIR (build/site). Without records, as in the tests, the pages of labs say that they were not run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.documents import CHECKOUT
from tools.site import check, documents, front, lessons, records

BUILD = CHECKOUT / "build"


def main(arguments: list[str]) -> int:
    """Make the site; the exit status is 1 if a link leads nowhere or a page loads a file of another host."""
    is_recorded = "--no-records" not in arguments
    named = [word for word in arguments if not word.startswith("-")]
    site = Path(named[0]) if named else BUILD / "site"
    source, kept = site.with_name(f"{site.name}-source"), BUILD / "site-records"
    if is_recorded and os.geteuid() == 0:
        records.make(kept)
    elif is_recorded:
        print("site: without root, no run is recorded; the records that there are, are used")
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(site, ignore_errors=True)
    shown = kept if is_recorded else source / "no-records"
    documents.lay_out(source)
    lessons.lay_out(source, shown)
    front.lay_out(source, shown)
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "auto", "-c", str(Path(__file__).parent)]
    subprocess.run([*words, "-d", str(source / ".doctrees"), str(source), str(site)], check=True, cwd=CHECKOUT)
    front.add_records(site, shown)
    found = list(check.complaints(site))
    print("\n".join([*found, f"site: {site}/index.html, {len(list(site.rglob('*.html')))} pages"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
