"""Data and a loss on predictors, with the reference solutions that theorems name."""
