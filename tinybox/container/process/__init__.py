"""Carrying out a plan, from clone3(2) to the exit status: parent, child, PID 1, pipes, hooks, wait loop."""
