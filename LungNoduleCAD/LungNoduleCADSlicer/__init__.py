"""The only code of the project that knows Slicer, Qt and VTK: it starts the library and shows its results."""
