"""What is asked: grids, records, plans and the files that say so."""
