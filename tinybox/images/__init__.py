"""Content on disk: what images are called, where they lie, how they come in. Nothing here knows a process."""
