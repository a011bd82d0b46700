"""The seccomp filter of a container: the default profile, the compiler from a profile to BPF, and the cache."""
