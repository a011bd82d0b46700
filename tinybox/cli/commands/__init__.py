"""The commands of tinybox for click, one file a group of them."""
