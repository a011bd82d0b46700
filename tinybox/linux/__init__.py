"""System calls and other kernel interfaces, named as in section 2 of the manual: bytes, ints, fds; no containers."""
