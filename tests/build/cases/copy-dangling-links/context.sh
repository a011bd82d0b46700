ln -s /etc/../../nowhere d/dangling; ln -s loop d/loop; ln -s .. d/up; touch -h -d 2001-02-03 d/up
