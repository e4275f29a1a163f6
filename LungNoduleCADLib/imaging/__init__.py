"""Geometry-aware work on arrays: SimpleITK bridge, patches at a fixed spacing, display windows."""
