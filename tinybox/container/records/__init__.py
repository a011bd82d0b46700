"""What tinybox records on disk about a container, and in which files."""
