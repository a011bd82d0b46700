"""`--explain`, `--step`, `--omit`, replay: report each step and system call, read /proc after it, show both."""
