"""Maps from weights to predictors, with a law for the first weights and, where there is one, a retraction."""
