"""Detectors and segmenters made elsewhere, used in place of the bundled ones when a person asks for them by name."""
