"""Commands on a container's files from outside: cp, export, commit and diff."""
