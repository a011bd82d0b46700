"""Seeing it happen: who listens to the engine, what the kernel looks like after each step, and how both are shown."""
