"""`tinybox watch`: host and box side by side, live; everything is read from /proc, the control group and the store."""
