"""What a run found, for people: the page `report.html`, the model card and the table on the terminal."""
