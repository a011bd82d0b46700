mkdir d
echo content > d/f
chown 7:8 d/f
tar -cf a.tar d
rm -r d
