"""The directories and files that a container has in addition to its image: volumes, /etc/hosts and its like."""
