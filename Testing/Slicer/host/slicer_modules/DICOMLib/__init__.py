"""Stand-in for Slicer's DICOMLib."""

from DICOMLib import DICOMUtils

__all__ = ["DICOMUtils"]
