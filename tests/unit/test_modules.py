"""The finder of tinybox's own modules gives what Python's own finders give, from a .pyc file only while that is valid.

Each test makes a package with the name tinybox, a copy of tinybox/modules.py in it, and asks a fresh Python about it.
"""

from __future__ import annotations

import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.slowness import SLOWNESS

CHECKOUT = Path(__file__).parents[2]
WITH, WITHOUT = "from tinybox import modules; modules.install(); ", ""
FACTS = (
    "import tinybox.room, tinybox.room.thing as thing; "
    "print([(m.__name__, m.__file__, m.__cached__, m.__package__, getattr(m, '__path__', None), m.__spec__.origin, "
    "m.__spec__.has_location, m.__loader__.get_source(m.__name__), m.name) for m in (tinybox.room, thing)], "
    "thing.function.__code__.co_filename)"
)
LOADER = "import tinybox.room.thing as thing; print(type(thing.__loader__).__module__, thing.name)"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Make a package tinybox with a package in it and a module there, and return its directory."""
    room = tmp_path / "tinybox" / "room"
    room.mkdir(parents=True)
    (tmp_path / "tinybox" / "__init__.py").touch()
    (room / "__init__.py").write_text("name = 'room'\n")
    (room / "thing.py").write_text("name = 'one'\ndef function(): pass\n")
    shutil.copy(CHECKOUT / "tinybox" / "modules.py", tmp_path / "tinybox")
    return tmp_path


def answer(package: Path, text: str, *flags: str) -> str:
    """Run the statements in *text* in a fresh Python, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [sys.executable, *flags, "-c", f"import sys; sys.path.insert(0, {str(package)!r}); {text}"]
    done = subprocess.run(
        words, env=environment, cwd=package, capture_output=True, text=True, check=True, timeout=60 * SLOWNESS
    )
    return done.stdout.strip()


def cached(package: Path) -> Path:
    """Return the .pyc file of the module thing."""
    return package / "tinybox" / "room" / "__pycache__" / f"thing.{sys.implementation.cache_tag}.pyc"


def test_a_module_has_the_attributes_that_python_gives_it(package: Path) -> None:
    """Names, files, package path, source and the file name in the code are the same, with a .pyc file and without."""
    first = answer(package, WITH + FACTS)
    assert first == answer(package, WITH + FACTS) == answer(package, WITHOUT + FACTS)
    assert "'one'" in first  # the control: the module was really loaded
    assert answer(package, WITH + LOADER) == "tinybox.modules one"
    assert answer(package, WITHOUT + LOADER) == "_frozen_importlib_external one"


def test_the_code_comes_from_a_valid_file(package: Path) -> None:
    """The .pyc file is used as long as it has the time and the size of the source. Control: another code in it."""
    answer(package, WITH + LOADER)
    source = package / "tinybox" / "room" / "thing.py"
    times, text = source.stat(), source.read_text()
    source.write_text(text.replace("one", "two"))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert answer(package, WITH + LOADER).endswith("one")  # the same time and size: this is Python's own rule, too
    assert answer(package, WITHOUT + LOADER).endswith("one")


def test_an_edited_source_is_seen_by_the_next_run(package: Path) -> None:
    """A new time of the source is enough; then the .pyc file is written again, for both finders."""
    answer(package, WITH + LOADER)
    source = package / "tinybox" / "room" / "thing.py"
    later = source.stat().st_mtime + 10
    source.write_text(source.read_text().replace("one", "two"))
    os.utime(source, (later, later))
    before = cached(package).read_bytes()
    assert answer(package, WITH + LOADER).endswith("two")
    assert cached(package).read_bytes() != before
    assert answer(package, WITHOUT + LOADER).endswith("two")


@pytest.mark.parametrize("damage", ["nothing", "half", "zeros", "another magic number", "a directory", "too long"])
def test_a_damaged_file_is_not_used(package: Path, damage: str) -> None:
    """A .pyc file that was cut, overwritten or made by another Python is passed over: the source is read."""
    answer(package, WITH + LOADER)
    file = cached(package)
    data = file.read_bytes()
    contents = {
        "nothing": b"",
        "half": data[: len(data) // 2],
        "zeros": data[:16] + bytes(len(data)),
        "another magic number": bytes(4) + data[4:],
        "too long": data + bytes(1 << 15),
    }
    file.unlink()
    if damage == "a directory":
        file.mkdir()
    else:
        file.write_bytes(contents[damage])
    assert answer(package, WITH + LOADER) == "tinybox.modules one"


def test_a_file_that_was_compiled_elsewhere_names_its_source(package: Path) -> None:
    """``compileall tinybox`` writes relative file names into the code; a traceback still names the real file."""
    source = package / "tinybox" / "room" / "thing.py"
    py_compile.compile(str(source), cfile=str(cached(package)), dfile="room/thing.py")
    text = "import tinybox.room.thing as thing; print(thing.function.__code__.co_filename)"
    assert answer(package, WITH + text) == str(source)


def test_other_ways_of_python_are_left_to_python(package: Path) -> None:
    """With -O, or with another place for .pyc files, it is not installed; of other packages it knows nothing."""
    text = "print('Finder' in [getattr(each, '__name__', '') for each in sys.meta_path])"
    assert answer(package, WITH + text) == "True"
    assert answer(package, WITH + text, "-O") == "False"
    assert answer(package, WITH + text, "-X", f"pycache_prefix={package}/elsewhere") == "False"
    text = "print([modules.Finder.find_spec(*words) for words in (('json.tool', ['/']), ('tinybox', None))])"
    assert answer(package, WITH + text) == "[None, None]"


def test_a_module_that_is_not_there_is_an_import_error(package: Path) -> None:
    """The error is Python's own."""
    text = "\ntry:\n import tinybox.room.nothing\nexcept ModuleNotFoundError as error:\n print(error)"
    assert answer(package, WITH + text) == "No module named 'tinybox.room.nothing'"
