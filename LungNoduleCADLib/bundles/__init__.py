"""Model bundles: a folder per model with weights, configuration, card and evaluation. Imports no torch."""
