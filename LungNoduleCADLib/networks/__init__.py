"""Networks: MONAI's, and what MONAI does not have. Torch is imported in this package's modules only."""
