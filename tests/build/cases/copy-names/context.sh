python3 - <<'END'
for name in (b"new\nline", b"\x1b[31m", b"'\"`$(x)\\", b"\xc3\xa4", b"-rf", b" ", b"n" * 255, b"a*b", b"#x", b"!y"):
    open(b"d/" + name, "wb").close()
END
