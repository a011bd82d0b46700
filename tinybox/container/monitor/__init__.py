"""What the owner of a container does: the log and the attached clients; in the background, also the health checks."""
