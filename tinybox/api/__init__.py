"""The Python API: objects for containers, images, networks, volumes and projects, over what the commands use."""
