"""The filter of system calls: from a profile to a program of the kernel."""
