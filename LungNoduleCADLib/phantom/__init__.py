"""A synthetic thorax with nodules of known volume and density, at two points in time, and its DICOM files."""
