"""What is written down about a container, and where."""
