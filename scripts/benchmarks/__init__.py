"""One module a family of jobs; `scripts/bench.py` runs them."""
