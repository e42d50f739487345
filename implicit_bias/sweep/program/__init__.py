"""From a cell to a compiled block of runs."""
