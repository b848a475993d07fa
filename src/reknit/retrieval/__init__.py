"""Search over passages: an embedded index of vectors and words, in one folder."""
