python3 - <<'END'
import os, struct
os.setxattr("d/f", "user.note", b"a note")
os.setxattr("d/sub", "user.note", b"of a directory")
os.setxattr("d/sub/c", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
END
