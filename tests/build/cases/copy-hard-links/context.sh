mkdir d/sub; ln d/a d/sub/b; ln d/a d/c
