"""Pages: inert markup, the report of a study with a card for each claim, and the index of all."""
