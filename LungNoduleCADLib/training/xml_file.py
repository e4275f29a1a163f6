"""XML that somebody else wrote, read within bounds."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

LARGEST_BYTES = 64 * 2**20


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002  expat's call
        raise ValueError(f"a DOCTYPE ({name}); entities are not read")


def parse_xml(path: Path) -> ElementTree.Element:
    """The root of a file without DOCTYPE: no entities, so nothing that grows while it is read and no other file.

    Raises
    ------
    OSError, ElementTree.ParseError : the file cannot be read, or is no XML.
    ValueError : it has a DOCTYPE, or more than 64 MiB.
    """
    if (size := path.stat().st_size) > LARGEST_BYTES:
        raise ValueError(f"{size} bytes, more than {LARGEST_BYTES}")
    return ElementTree.parse(path, ElementTree.XMLParser(target=_WithoutDoctype())).getroot()
