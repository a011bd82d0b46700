"""What the kernel offers, spelled as in section 2 of the manual; bytes, ints and fds. Knows no container."""
