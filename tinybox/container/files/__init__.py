"""A container's files, seen from outside: cp, export, commit and diff."""
