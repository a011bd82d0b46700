mkfifo -m 640 d/fifo; truncate -s 1M d/sparse; printf end >> d/sparse
