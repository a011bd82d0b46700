"""One file a level: the text, the hints, and the check of the student's program."""
