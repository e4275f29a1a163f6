"""Who made an exported object and for which study: equipment, unique identifiers, and the words that must be on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydicom.uid import generate_uid

from LungNoduleCADLib import __version__
from LungNoduleCADLib.domain.findings import StudyFindings

NAME = "LungNoduleCAD"
DEVICE_UID = str(generate_uid(entropy_srcs=[NAME, "device", __version__]))
SEGMENTATION_SERIES, MEASUREMENTS_SERIES, REPORT_SERIES, PICTURES_SERIES = 9701, 9702, 9703, 9704
_TITLES = {
    SEGMENTATION_SERIES: "Lung nodule segmentation (research use only)",
    MEASUREMENTS_SERIES: "Lung nodule measurements (research use only)",
    REPORT_SERIES: "Lung nodule report (research use only)",
    PICTURES_SERIES: "Lung nodule key images (research use only)",
}


def new_instance(series_number: int) -> dict[str, Any]:
    """Values of a new object in a series of its own, by the names of highdicom's parameters."""
    now = datetime.now()
    return {
        "series_instance_uid": str(generate_uid()),
        "series_number": series_number,
        "sop_instance_uid": str(generate_uid()),
        "instance_number": 1,
        "series_description": _TITLES[series_number],
        "series_date": now.date(),
        "series_time": now.time(),
        "content_date": now.date(),
        "content_time": now.time(),
        "content_qualification": "RESEARCH",
        "specific_character_set": "ISO_IR 192",
        "manufacturer": NAME,
        "manufacturer_model_name": NAME,
        "software_versions": __version__,
        "device_serial_number": __version__,
    }


def tracking_uid(findings: StudyFindings, name: str) -> str:
    """The same for the same structure in every export, and, for a nodule seen before, that of the prior study.

    Over more than two exams the prior must be given as results (``OUT``), for only they know of the exam before. A
    nodule is known by the place it was found at, not by its number: a scan that is analysed anew by the same models
    gives the same one, however the list is numbered. What is found at another place is another nodule.
    """
    matches = findings.comparison.matches if findings.comparison and findings.prior else ()
    before = next((match.prior_id for match in matches if match.current_id == name), None)
    if before is not None and findings.prior is not None:
        return tracking_uid(findings.prior, before)
    series = findings.series
    places = {one.id: [f"{mm:.0f}" for mm in one.candidate.centre_lps_mm] for one in findings.nodules}
    known_by = places.get(name, [name])
    if sum(place == known_by for place in places.values()) > 1:
        known_by = [*known_by, name]
    return str(generate_uid(entropy_srcs=["tracking", series.study_uid, series.series_uid, *known_by]))
