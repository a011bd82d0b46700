"""The exercises, one file each: the numbers of a student, the boxes, and the facts that the check reads."""
