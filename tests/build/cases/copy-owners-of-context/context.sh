mkdir -p d/sub; chown 1234:5678 d d/f d/sub
