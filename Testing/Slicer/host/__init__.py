"""A stand-in for the 3D Slicer application: real MRML (slicer-core), Qt by PySide6 with PythonQt's manners.

``start.startHost`` puts it together; ``members.py`` says what of CTK and Slicer it offers, and where that is declared.
"""
