ln -s f d/link
ln -s sub d/dir-link
ln -s d/f to-file
ln -s d/sub to-dir
