"""From a cell and its grids to tiles on disk; no mathematics beyond start, advance and status."""
