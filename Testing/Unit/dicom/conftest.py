"""A small box of tissue in air, as a CT and as files, and made-up findings in it for the export."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from LungNoduleCADLib import __version__
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment, LungRadsCategory
from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.domain.nodule import (
    AxialAxes,
    MalignancyEstimate,
    Measurements,
    Nodule,
    NoduleCandidate,
    NoduleType,
    TypeEstimate,
)
from LungNoduleCADLib.domain.provenance import Method, Provenance
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from Testing.enhanced_ct import write_enhanced

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

    from LungNoduleCADLib.dicom.export_segmentation import Structure
    from LungNoduleCADLib.dicom.export_source import SourceSeries

MODEL = Method("nodule_ct_segmentation", "0.1.0", "ab" * 32)
CATEGORY = LungRadsAssessment(LungRadsCategory.C4A, "solid-4A", "solid nodule", "3-month LDCT", "ACR Lung-RADS v2022")
# first and last voxel (k, j, i) of each mask in the box, none of them symmetric
BOXES = {
    "lung_right": ((1, 8, 3), (14, 30, 20)),
    "lung_left": ((2, 9, 27), (15, 33, 44)),
    "N1": ((4, 12, 5), (7, 14, 8)),
    "N2": ((0, 30, 40), (1, 30, 47)),
}


@pytest.fixture
def box_ct() -> CtVolume:
    """16 slices of 48 x 40: a block of tissue in air, and ramps along two edges that tell the axes apart."""
    hu = np.full((16, 40, 48), -1000, np.int16)
    hu[3:14, 10:34, 12:40] = 40
    hu[0, 0, :] = np.arange(48) * 10
    hu[:, 0, 0] = np.arange(16) * 20
    series = SeriesDescription("1.2.3.4", "1.2.3", study_date=date(2024, 3, 1), kernel="B30f", slice_thickness_mm=2.0)
    return CtVolume(hu, Geometry((16, 40, 48), (-110.0, -90.0, 30.0), (1.5, 6.0, 5.0)), series)


@pytest.fixture
def box_files(box_ct: CtVolume, tmp_path: Path) -> list[Path]:
    return write_dicom_series(box_ct, tmp_path / "scan")


@pytest.fixture
def enhanced(box_files: list[Path], tmp_path: Path) -> Path:
    """The box as frames of one enhanced CT, the last first."""
    slices = [pydicom.dcmread(file) for file in reversed(box_files)]
    return write_enhanced(slices, tmp_path / "enhanced" / "all.dcm")


@pytest.fixture
def edit() -> Callable[..., None]:
    """Change a file's header in place: ``edit(path, change)`` or ``edit(path, Keyword=value)``."""

    def change_file(path: Path, change: Callable[[Dataset], object] | None = None, **values: object) -> None:
        dataset = pydicom.dcmread(path)
        if change:
            change(dataset)
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        if "SOPInstanceUID" in values:
            dataset.file_meta.MediaStorageSOPInstanceUID = values["SOPInstanceUID"]
        dataset.save_as(path, enforce_file_format=True)

    return change_file


@pytest.fixture
def findings(box_ct: CtVolume) -> StudyFindings:
    """Two nodules, part-solid on the right and solid on the left."""
    nodules = (_nodule("N1", NoduleType.PART_SOLID, Side.RIGHT), _nodule("N2", NoduleType.SOLID, Side.LEFT))
    return StudyFindings(
        box_ct.series,
        box_ct.geometry,
        LungSummary(2101.5, 1890.2, Method("classical_lungs", "1.0")),
        nodules,
        Provenance(__version__, "2024-03-02T10:11:12", "cpu", "analyse"),
        lung_rads=CATEGORY,
    )


def _nodule(name: str, kind: NoduleType, side: Side) -> Nodule:
    return Nodule(
        name,
        NoduleCandidate((0.0, 0.0, 40.0), probability=0.9),
        (1.5, 2.5, 40.0),
        measurements=Measurements(
            523.6123456789012, _axes(11.3, 8.9), -187.123456, 425.6, side, "lower", 4.0, 61.5, _axes(4.1, 3.2)
        ),
        type=TypeEstimate(kind, {kind: 0.9}, MODEL),
        malignancy=MalignancyEstimate(0.6234, 3.4, method=Method("nodule_fusion", "0.1.0")),
        lung_rads=CATEGORY,
    )


def _axes(long_mm: float, short_mm: float) -> AxialAxes:
    line = ((0.0, 0.0, 0.0), (long_mm, 0.0, 0.0))
    return AxialAxes(long_mm, short_mm, 3, line, line)


@pytest.fixture
def masks(box_ct: CtVolume) -> dict[str, np.ndarray]:
    """The lungs and nodules of ``findings`` as bool (K, J, I) on the box's grid."""
    masks = {name: np.zeros(box_ct.hu.shape, bool) for name in BOXES}
    for name, (first, last) in BOXES.items():
        masks[name][tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))] = True
    masks["N1"][5, 13, 6] = False
    return masks


@pytest.fixture
def structures_of(masks: dict[str, np.ndarray]) -> Callable[[StudyFindings], list[Structure]]:
    """What is to be segmented of findings."""
    from LungNoduleCADLib.dicom.export_identity import tracking_uid
    from LungNoduleCADLib.dicom.export_segmentation import Structure

    def make(findings: StudyFindings) -> list[Structure]:
        listed = {"lung_right", "lung_left", *(nodule.id for nodule in findings.nodules)}
        return [
            Structure(
                name,
                f"{name} ä",
                voxels,
                findings.geometry,
                name.startswith("N"),
                Side.LEFT if name in ("lung_left", "N2") else Side.RIGHT,
                (0.85, 0.15, 0.15),
                MODEL,
                tracking_uid(findings, name),
            )
            for name, voxels in masks.items()
            if name in listed
        ]

    return make


@pytest.fixture
def segmented(
    structures_of: Callable[[StudyFindings], list[Structure]], tmp_path: Path
) -> Callable[[SourceSeries, StudyFindings], Segmentation]:
    """Writes a segmentation of findings and reads it back."""
    from highdicom.seg import segread

    from LungNoduleCADLib.dicom.export_segmentation import make_segmentation
    from LungNoduleCADLib.dicom.export_source import save

    def write(source: SourceSeries, findings: StudyFindings) -> Segmentation:
        save(make_segmentation(source, structures_of(findings)), tmp_path / "seg.dcm")
        return segread(tmp_path / "seg.dcm")

    return write


@pytest.fixture
def source(box_files: list[Path], findings: StudyFindings) -> SourceSeries:
    from LungNoduleCADLib.dicom.export_source import open_source

    return open_source(box_files[0].parent, findings.series, findings.geometry)


@pytest.fixture
def segmentation(
    source: SourceSeries, findings: StudyFindings, segmented: Callable[[SourceSeries, StudyFindings], Segmentation]
) -> Segmentation:
    return segmented(source, findings)
