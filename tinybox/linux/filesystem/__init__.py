"""Files and directories: open, lock, watch and remove them safely, those of containers and tinybox's own."""
