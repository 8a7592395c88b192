"""Elementary functions in plain arithmetic: the source of each, by family."""
