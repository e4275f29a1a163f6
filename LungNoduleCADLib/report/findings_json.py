"""``findings.json``: the findings as versioned JSON, checked against its schema when written and when read.

Results of earlier versions are read too (``upgrade``).

Masks and saliency maps are not in it (see ``segmentation.seg.nrrd`` and ``saliency/``); read back, they are None.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from cattrs.preconf.json import make_converter

from LungNoduleCADLib import RESEARCH_USE_ONLY
from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import (
    EarlierExam,
    Growth,
    NoduleMatch,
    NoduleSeries,
    RegistrationQuality,
    StudyComparison,
)
from LungNoduleCADLib.domain.findings import (
    SCHEMA_VERSION,
    Edit,
    LungSummary,
    OperatingPoint,
    RatedPlace,
    StudyFindings,
)
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment
from LungNoduleCADLib.domain.provenance import Provenance
from LungNoduleCADLib.domain.quality import QualityFlag
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.guidelines.risk import with_clinical_risk
from LungNoduleCADLib.json_file import read_json
from LungNoduleCADLib.report.folder import put_right
from LungNoduleCADLib.report.nodule_json import nodule_from_json, nodule_to_json
from LungNoduleCADLib.report.upgrade import readable_versions, upgraded

FILE_NAME = "findings.json"
SCHEMA_NAME = "findings.schema.json"

_converter = make_converter(detailed_validation=False)


def to_json(findings: StudyFindings, known_prior: dict[str, Any] | None = None) -> dict[str, Any]:
    """Findings as plain JSON values, valid by the schema.

    Parameters
    ----------
    known_prior : what this made of the same prior before; it is taken over and not checked again.

    Raises
    ------
    InputError : the findings do not fit the schema (a fault of the software, named by its path).
    """
    if known_prior is None:
        document = plain(_study_to_json(findings))
        check(document)
        return document
    document = plain(_study_to_json(replace(findings, prior=None)))
    check(document)
    document["prior"] = known_prior
    _check_ids(document, FILE_NAME)
    return document


def from_json(document: dict[str, Any], name: str = FILE_NAME) -> StudyFindings:
    """Findings from JSON of this or an earlier version; what a person edited by hand is marked as the reader's.

    Raises
    ------
    InputError : the document does not fit the schema; the message names the place in ``name``.
    """
    known = _present(document, name)
    try:
        findings = _study_from_json(known)
        return findings if known is document else _with_clinical_risk(findings)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{name} is not valid", got=str(error), todo="correct it or analyse again") from error


def read_document(folder: Path) -> dict[str, Any]:
    """The checked JSON of a results folder, in the present version.

    Raises
    ------
    InputError : no findings.json there, or one that is not JSON or not valid.
    """
    return _present(_read_json(folder), str(folder / FILE_NAME))


def _read_json(folder: Path) -> Any:
    path = folder / FILE_NAME
    put_right(folder)
    if not path.is_file():
        raise InputError(
            f"{folder} holds no results", expected=FILE_NAME, got="none", todo="give the -o folder of an analysis"
        )
    try:
        return read_json(path)
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path} cannot be read as JSON", got=str(error), todo="correct it or analyse again"
        ) from error


def read_findings(folder: Path) -> StudyFindings:
    """Findings of an earlier results folder (masks and saliency None)."""
    return from_json(_read_json(folder), str(folder / FILE_NAME))


def write_document(document: dict[str, Any], path: Path) -> None:
    """Write checked JSON, readable and the same for the same findings."""
    check(document, str(path))
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def assessment_to_json(assessment: LungRadsAssessment | None) -> dict[str, Any] | None:
    return plain(_converter.unstructure(assessment)) if assessment else None


def check(document: Any, name: str = FILE_NAME) -> None:
    """Compare a document with the schema and its ids with each other; InputError names the worst place."""
    from jsonschema.exceptions import best_match

    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{name} has another version",
            expected=f"schema_version {readable_versions()}",
            got=repr(version),
            todo="analyse again with this version",
        )
    error = best_match(_validator().iter_errors(document))
    if error is not None:
        place = error.json_path.removeprefix("$").lstrip(".") or "its top level"
        raise InputError(
            f"{name} is not valid at {place}",
            got=error.message,
            todo=f"correct it there (see {SCHEMA_NAME}) or analyse again",
        )
    _check_ids(document, name)


def schema_path(name: str = SCHEMA_NAME) -> Path:
    """Resources/ lies beside the library in a checkout and in Slicer, inside of it in a wheel."""
    library = Path(__file__).resolve().parents[1]
    places = [folder / "Resources" / name for folder in (library.parent, library)]
    return next((path for path in places if path.is_file()), places[0])


def plain(value: Any) -> Any:
    """JSON values only: numpy scalars as Python's, tuples as lists, NaN and infinity as null (not computed)."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _present(document: Any, name: str) -> dict[str, Any]:
    """The document in the present version, checked."""
    try:
        document = upgraded(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{name} is not valid", expected="results of this software", got=repr(error), todo="analyse again"
        ) from error
    check(document, name)
    return document


def _with_clinical_risk(findings: StudyFindings) -> StudyFindings:
    """Findings of a version that did not know risk models yet, and those of their prior."""
    prior = _with_clinical_risk(findings.prior) if findings.prior else None
    return replace(with_clinical_risk(findings), prior=prior)


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema_path().read_text(encoding="utf-8")))


def _check_ids(document: dict[str, Any], name: str) -> None:
    ids = [nodule["id"] for nodule in document["nodules"]]
    if doubled := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise InputError(
            f"{name} is not valid at nodules",
            expected="every id once",
            got=f"{doubled[0]} twice",
            todo="give each nodule its own id",
        )
    if document["prior"]:
        _check_ids(document["prior"], f"{name} (prior)")
    prior_ids = [nodule["id"] for nodule in document["prior"]["nodules"]] if document["prior"] else None
    for row, match in enumerate((document["comparison"] or {}).get("matches", [])):
        for key, known in (("current_id", ids), ("prior_id", prior_ids)):
            if known is not None and match[key] is not None and match[key] not in known:
                raise InputError(
                    f"{name} is not valid at comparison.matches[{row}].{key}",
                    expected=f"one of {known}",
                    got=repr(match[key]),
                    todo="correct the id",
                )


def _study_to_json(findings: StudyFindings) -> dict[str, Any]:
    return {
        "schema_version": findings.schema_version,
        "research_use_only": RESEARCH_USE_ONLY,
        "lung_rads": assessment_to_json(findings.lung_rads),
        "series": _converter.unstructure(findings.series),
        "geometry": _converter.unstructure(findings.geometry),
        "lungs": _converter.unstructure(findings.lungs),
        "clinical": _converter.unstructure(findings.clinical),
        "operating_threshold": findings.operating_threshold,
        "operating_points": _converter.unstructure(findings.operating_points),
        "operating_points_source": findings.operating_points_source,
        "candidates": _converter.unstructure(findings.candidates),
        "edits": _converter.unstructure(findings.edits),
        "nodules": [nodule_to_json(nodule, _converter) for nodule in findings.nodules],
        "comparison": _comparison_to_json(findings.comparison),
        "prior": _study_to_json(findings.prior) if findings.prior else None,
        "quality_flags": _converter.unstructure(findings.flags),
        "provenance": _converter.unstructure(findings.provenance),
    }


def _study_from_json(document: dict[str, Any]) -> StudyFindings:
    structure = _converter.structure
    return StudyFindings(
        series=structure(document["series"], SeriesDescription),
        geometry=structure(document["geometry"], Geometry),
        lungs=structure(document["lungs"], LungSummary),
        nodules=tuple(nodule_from_json(nodule, _converter) for nodule in document["nodules"]),
        provenance=structure(document["provenance"], Provenance),
        lung_rads=structure(document["lung_rads"], LungRadsAssessment | None),  # type: ignore[arg-type]
        clinical=structure(document["clinical"], ClinicalContext | None),  # type: ignore[arg-type]
        comparison=_comparison_from_json(document["comparison"]),
        prior=_study_from_json(document["prior"]) if document["prior"] else None,
        flags=structure(document["quality_flags"], tuple[QualityFlag, ...]),
        operating_threshold=document["operating_threshold"],
        operating_points=structure(document["operating_points"], tuple[OperatingPoint, ...]),
        operating_points_source=document["operating_points_source"],
        candidates=structure(document["candidates"], tuple[RatedPlace, ...]),
        edits=structure(document["edits"], tuple[Edit, ...]),
        schema_version=document["schema_version"],
    )


def _comparison_to_json(comparison: StudyComparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "interval_days": comparison.interval_days,
        "matches": [_match_to_json(match) for match in comparison.matches],
        "registration": _converter.unstructure(comparison.registration),
        "flags": _converter.unstructure(comparison.flags),
        "earlier": _converter.unstructure(comparison.earlier),
        "series": _converter.unstructure(comparison.series),
    }


def _comparison_from_json(document: dict[str, Any] | None) -> StudyComparison | None:
    if document is None:
        return None
    return StudyComparison(
        matches=tuple(_match_from_json(match) for match in document["matches"]),
        interval_days=document["interval_days"],
        registration=_converter.structure(document["registration"], RegistrationQuality | None),  # type: ignore[arg-type]
        flags=_converter.structure(document["flags"], tuple[QualityFlag, ...]),
        earlier=_converter.structure(document["earlier"], tuple[EarlierExam, ...]),
        series=_converter.structure(document["series"], tuple[NoduleSeries, ...]),
    )


_GROWTH_KEYS = tuple(Growth.__dataclass_fields__)


def _match_to_json(match: NoduleMatch) -> dict[str, Any]:
    row = _converter.unstructure(replace(match, growth=None))
    del row["growth"]
    growth = _converter.unstructure(match.growth) if match.growth else dict.fromkeys(_GROWTH_KEYS)
    return {**row, **growth}


def _match_from_json(row: dict[str, Any]) -> NoduleMatch:
    growth = {key: row[key] for key in _GROWTH_KEYS} if row["volume_change_percent"] is not None else None
    rest = {key: value for key, value in row.items() if key not in _GROWTH_KEYS}
    return _converter.structure({**rest, "growth": growth}, NoduleMatch)
