b.cc
