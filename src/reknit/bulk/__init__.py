"""Jobs over whole corpora, on this machine or on a Ray cluster: encode every passage, curate every document."""
