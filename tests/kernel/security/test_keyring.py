"""Keys: a box has a session keyring of its own; it neither finds the caller's keys nor leaves keys there.

Each box here runs without a filter, so that it may call keyctl(2), and with the host's Python, which makes the calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tests.conftest import TIMEOUT
from tests.kernel.security.test_seccomp import in_child
from tests.support.detached_boxes import FOREVER, life
from tests.support.oci_bundles import Bundle, bundle
from tinybox.errors import HostError
from tinybox.isolation import keyring
from tinybox.isolation.seccomp.compiler import compile_profile
from tinybox.linux.syscalls import numbers_of

if TYPE_CHECKING:
    from tests.conftest import Command

__all__ = ["bundle"]

pytestmark = pytest.mark.root

NUMBER = numbers_of(os.uname().machine)
SESSION_KEYRING = -3
NO_USER = 64321
PYTHON = os.path.realpath(sys.executable)
PLACES = [PYTHON, sysconfig.get_path("stdlib"), "/lib", "/usr/lib", *(["/lib64"] if os.path.exists("/lib64") else [])]
KEYS = f"""
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    return libc.syscall(*words)
def read(name):
    key, text = call({NUMBER["keyctl"]}, 10, -3, b"user", name, 0), ctypes.create_string_buffer(64)
    return text.value.decode() if key > 0 and call({NUMBER["keyctl"]}, 11, key, text, 64) > 0 else "nothing"
def add(name, text):
    return call({NUMBER["add_key"]}, b"user", name, text, len(text), -3)
"""
INSIDE = f"{KEYS}\nprint('found', read(b'of-the-host')); print('added', add(b'of-the-box', b'planted') > 0)"
OUTSIDE = f"""{KEYS}
call({NUMBER["keyctl"]}, 1, None)
add(b"of-the-host", b"secret")
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL)
print("came back", read(b"of-the-box"))
sys.exit(done.returncode)
"""
SHUT = "found nothing\nadded True\ncame back nothing\n"
OPEN = "found secret\nadded True\ncame back planted\n"


libc = ctypes.CDLL(None, use_errno=True)


def session_keyring() -> int:
    """Return the number of this process's session keyring; see KEYCTL_GET_KEYRING_ID(2const)."""
    return int(libc.syscall(NUMBER["keyctl"], 0, SESSION_KEYRING, 0))


def in_a_session_with_a_key(words: list[str], environment: dict[str, str] | None = None) -> str:
    """Run *words* with a key in the session keyring; return what they print, and the key that they have added to it."""
    done = subprocess.run(
        [PYTHON, "-uc", OUTSIDE, *words],
        env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def python_of_the_host() -> list[str]:
    """Return the options that show a box this host's Python, with the libraries that it needs."""
    return [word for place in PLACES for word in ("-v", f"{place}:{place}:ro")]


@pytest.mark.parametrize("options", [(), ("--privileged",), ("--userns", "private"), ("--init=none",)])
def test_the_caller_s_keys_are_out_of_reach(tinybox: Command, options: tuple[str, ...]) -> None:
    """A box without a filter finds no key of the caller's session and adds none to it; a program of the host does."""
    options = ("--security-opt", "seccomp=unconfined", *options, *python_of_the_host())
    box = [tinybox.path, "run", "--rm", *options, "busybox", PYTHON, "-c", INSIDE]
    assert in_a_session_with_a_key(box, tinybox.environment) == SHUT
    assert in_a_session_with_a_key([PYTHON, "-c", INSIDE]) == OPEN


@pytest.mark.parametrize("options", [(), ("--userns", "private")])
def test_exec_has_the_container_s_keys(tinybox: Command, options: tuple[str, ...]) -> None:
    """A key that `exec` adds is found by the next one and by the box's own processes; the caller's key by neither."""
    options = ("--security-opt", "seccomp=unconfined", *options, *python_of_the_host())
    reading = f"{KEYS}\nprint(read(b'of-the-box'))"
    with life(tinybox, *options, "busybox", *FOREVER) as box, life(tinybox, *options, "busybox", *FOREVER) as other:
        joined = [tinybox.path, "exec", box.id, PYTHON, "-c", INSIDE]
        assert in_a_session_with_a_key(joined, tinybox.environment) == SHUT
        assert tinybox("exec", box.id, PYTHON, "-c", reading).stdout == "planted\n"
        assert tinybox("exec", other.id, PYTHON, "-c", reading).stdout == "nothing\n"


@pytest.mark.parametrize(("words", "expected"), [([], SHUT), (["--no-new-keyring"], OPEN)])
def test_an_engine_s_container_has_keys_of_its_own(bundle: Bundle, words: list[str], expected: str) -> None:
    """tinybox-oci does the same, for run and exec; with --no-new-keyring the keys are the caller's."""
    command = [os.path.join(os.path.dirname(sys.executable), "tinybox-oci"), "--root", str(bundle.path / "state")]
    for place in PLACES:
        bundle.mount(place, "bind", "rbind", "ro", source=place)
    for program in ([PYTHON, "-c", INSIDE], ["sleep", "1000"]):
        bundle.process["args"] = program
        bundle.save()
        made = [*command, "run", *words, "--bundle", str(bundle.path)]
        if program[0] == PYTHON:
            assert in_a_session_with_a_key([*made, bundle.name]) == expected
        else:
            quiet = subprocess.DEVNULL
            subprocess.run([*made, "-d", bundle.name], check=True, timeout=TIMEOUT, stdout=quiet, stderr=quiet)
            assert in_a_session_with_a_key([*command, "exec", bundle.name, PYTHON, "-c", INSIDE]) == expected


def test_at_the_key_quota_the_caller_s_keyring_is_not_used() -> None:
    """At EDQUOT a container is refused; one that has left the caller's keyring before goes on, with an empty one."""

    def a_user_with_all_the_keys_that_it_may_have() -> int:
        os.setresuid(NO_USER, NO_USER, NO_USER)
        keyring.leave()
        ours = session_keyring()
        for number in range(10000):
            if libc.syscall(NUMBER["add_key"], b"user", b"key-%d" % number, b"x", 1, SESSION_KEYRING) < 0:
                break
        keyring.join("_ses.test", True, True)
        try:
            keyring.join("_ses.test", True, False)
        except HostError as error:
            return int(session_keyring() != ours or "no more keys" not in str(error))
        return 2

    assert in_child(a_user_with_all_the_keys_that_it_may_have) == 0


@pytest.mark.parametrize("answer", [errno.EPERM, errno.ENOSYS])
def test_without_keyctl_there_is_no_keyring_to_leave(answer: int) -> None:
    """Under a filter that refuses keyctl(2), which the box inherits, and without keys in the kernel, a box starts."""
    program = compile_profile(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["keyctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": answer}],
        },
        os.uname().machine,
    )

    def leave_and_take() -> int:
        keyring.leave()
        keyring.join("_ses.test", True, False)
        return 0

    assert in_child(leave_and_take, program) == 0
