"""The kernel mechanisms that isolate and limit a container, one file each: namespaces, mounts, cgroups, seccomp ..."""
