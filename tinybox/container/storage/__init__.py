"""The directories and files that a container gets beside its image."""
