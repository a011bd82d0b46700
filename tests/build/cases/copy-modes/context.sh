for mode in 0000 0400 4755 2755 1644 6711 0666; do echo $mode > d/$mode; chmod $mode d/$mode; touch -d 1999-12-31T23:59:59Z d/$mode; done
mkdir d/dir; chmod 3770 d/dir
