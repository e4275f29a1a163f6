"""The XML in which LIDC-IDRI keeps what its readers marked.

One file holds one reading of one CT series: the series' UID and up to four unblinded reading sessions, one a reader.
A session has ``unblindedReadNodule`` (a nodule) and ``nonNodule`` (something of at least 3 mm that is none). A nodule
of at least 3 mm has ratings and, slice by slice, regions of interest: ``edgeMap`` points are the pixels drawn around
the region, ``inclusion`` is FALSE for a hole. A nodule below 3 mm has one region of a single point. Points are columns
(x) and rows (y) of the stored image, counted from 0; ``imageSOP_UID`` names the slice. Other files of the collection
(``CXRreadingSession``) read a chest radiograph.

Namespaces and the case of some names differ between files and are ignored here. Source: Armato SG 3rd et al., Med Phys
2011; LIDC XML documentation of The Cancer Imaging Archive.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.training.xml_file import parse_xml

FEWEST_OUTLINE_POINTS = 3


@dataclass(frozen=True)
class Region:
    """Pixels drawn on one slice: (N, 2) columns and rows; one point is a place, more go around what is meant."""

    sop_uid: str
    points_xy: np.ndarray
    included: bool = True


@dataclass(frozen=True)
class ReaderNodule:
    """What one reader (0..3, in the order of the file) marked as one nodule; ``ratings`` is empty below 3 mm."""

    reader: int
    regions: tuple[Region, ...]
    ratings: dict[str, int]

    @property
    def is_outlined(self) -> bool:
        """Whether it has an extent; what is below 3 mm has a place only."""
        return any(len(region.points_xy) >= FEWEST_OUTLINE_POINTS for region in self.regions)


@dataclass(frozen=True)
class Reading:
    """All marks on one CT series."""

    series_uid: str
    nodules: tuple[ReaderNodule, ...]
    non_nodules: tuple[Region, ...]


def read_lidc_xml(path: Path) -> Reading | None:
    """The reading in a file; ``None`` for a reading of a radiograph, or XML of something else.

    Raises
    ------
    InputError : the file is damaged.
    """
    try:
        root = parse_xml(path)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2].lower()
        sessions = root.findall("readingsession")
        if not root.tag.endswith("readmessage") or not sessions:
            return None
        header = root.find("responseheader")
        series_uid = (
            "" if header is None else _text(header, "seriesinstanceuid") or _text(header, "ctseriesinstanceuid")
        )
        if not series_uid:
            raise ValueError("no SeriesInstanceUid")
        nodules = [
            ReaderNodule(reader, tuple(_region(roi) for roi in nodule.findall("roi")), _ratings(nodule))
            for reader, session in enumerate(sessions)
            for nodule in session.findall("unblindedreadnodule")
        ]
        others = [_region(other) for session in sessions for other in session.findall("nonnodule")]
    except OSError as error:
        raise InputError(f"{path} cannot be read", got=f"{error}") from error
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(
            f"{path} is damaged", expected="the XML of LIDC's readers", got=f"{error}", todo="copy the file again"
        ) from error
    return Reading(series_uid, tuple(nodules), tuple(others))


def _region(element: ElementTree.Element) -> Region:
    points = [
        (round(float(_text(point, "xcoord"))), round(float(_text(point, "ycoord"))))
        for point in (*element.findall("edgemap"), *element.findall("locus"))
    ]
    if not points:
        raise ValueError("a region without a point")
    included = _text(element, "inclusion").upper() != "FALSE"
    return Region(_text(element, "imagesop_uid"), np.array(points, np.int32), included)


def _ratings(nodule: ElementTree.Element) -> dict[str, int]:
    """{name in lower case: grade}; what is no grade is left out."""
    grades = nodule.find("characteristics")
    return (
        {}
        if grades is None
        else {grade.tag: int(text) for grade in grades if (text := (grade.text or "").strip()).isdecimal()}
    )


def _text(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()
