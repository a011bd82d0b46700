"""The mounts that a user asks for with -v, --mount and --tmpfs; those of every container are in mounts.py beside."""
