"""One program a level, complete; the student gets it without the parts between YOURS and END."""
