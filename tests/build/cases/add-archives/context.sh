mkdir -p t/d/sub
echo content > t/d/f
chown 7:8 t/d/f t/d/sub
chmod 2751 t/d/sub
ln -s f t/d/l
ln t/d/f t/d/h
touch -d 2001-02-03T04:05:06Z t/d/f t/d/sub
tar -C t -cf a.tar d
gzip -k a.tar
bzip2 -k a.tar
xz -k a.tar
cp a.tar.gz named-wrongly
rm -r t
