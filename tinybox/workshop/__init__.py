"""The workshop: levels in which a student builds a container runtime, each checked on objects of the kernel."""
