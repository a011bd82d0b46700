"""The pages of labs: a page for each result, with pictures of its figures, and one page for the results of a room."""
