"""System V IPC: shared memory and semaphores, which are found by a number (the key) and outlive their maker.

The keys belong to an IPC namespace: in another namespace the same key means another object, or none.
"""

from __future__ import annotations

import ctypes
import struct

from tinybox.linux.abi import Syscall

IPC_CREAT, IPC_EXCL = 0o1000, 0o2000
IPC_RMID = 0
GETVAL, SETVAL = 12, 16

_shmget = Syscall("shmget", ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
_shmat = Syscall("shmat", ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_shmdt = Syscall("shmdt", ctypes.c_void_p)
_shmctl = Syscall("shmctl", ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_semget = Syscall("semget", ctypes.c_int, ctypes.c_int, ctypes.c_int)
_semop = Syscall("semop", ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_semctl = Syscall("semctl", ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_sembuf = struct.Struct("=Hhh")  # struct sembuf: the semaphore's index, the number to add, flags


def shmget(key: int, size: int = 0, flags: int = 0) -> int:
    """Return the id of the segment of *key*; IPC_CREAT makes it; FileNotFoundError: there is none; see shmget(2)."""
    return _shmget(key, size, flags)


def shmat(shmid: int) -> int:
    """Attach a segment to this process's memory and return its address; see shmat(2)."""
    return _shmat(shmid, None, 0)


def shmdt(address: int) -> None:
    """Detach the segment at *address*; see shmdt(2)."""
    _shmdt(address)


def shmctl_remove(shmid: int) -> None:
    """Remove the segment as soon as no process has it attached; see IPC_RMID in shmctl(2)."""
    _shmctl(shmid, IPC_RMID, None)


def semget(key: int, count: int = 0, flags: int = 0) -> int:
    """Return the id of the *count* semaphores of *key*; FileNotFoundError: there are none; see semget(2)."""
    return _semget(key, count, flags)


def semop(semid: int, by: int) -> None:
    """Add *by* to the first semaphore; if the sum were negative, sleep until it is not; see semop(2)."""
    _semop(semid, _sembuf.pack(0, by, 0), 1)


def semctl_get(semid: int) -> int:
    """Return the value of the first semaphore; see GETVAL in semctl(2)."""
    return _semctl(semid, 0, GETVAL, 0)


def semctl_set(semid: int, value: int) -> None:
    """Set the first semaphore to *value*; see SETVAL in semctl(2)."""
    _semctl(semid, 0, SETVAL, value)


def semctl_remove(semid: int) -> None:
    """Remove the semaphores, and wake the processes that sleep on them; see IPC_RMID in semctl(2)."""
    _semctl(semid, 0, IPC_RMID, 0)
