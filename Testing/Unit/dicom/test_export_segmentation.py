"""Masks as a DICOM segmentation: voxel for voxel at the same place in the patient, named and coded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation

from LungNoduleCADLib.dicom.export_measurements import Remarks, make_measurements
from LungNoduleCADLib.dicom.export_segmentation import Structure, make_segmentation
from LungNoduleCADLib.dicom.export_source import SourceSeries, open_source, save
from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from Testing.enhanced_ct import write_enhanced

Segmented = Callable[[SourceSeries, StudyFindings], Segmentation]
StructuresOf = Callable[[StudyFindings], list[Structure]]


def _voxels(segmentation: Segmentation, grid: Geometry) -> dict[str, np.ndarray]:
    """Each segment on a grid, put there pixel by pixel by where its frames say they lie in the patient."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    row_mm, column_mm = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    orientation = np.asarray(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    names = {item.SegmentNumber: item.TrackingID for item in segmentation.SegmentSequence}
    found = {name: np.zeros(grid.shape_kji, bool) for name in names.values()}
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    for frame, groups in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        rows, columns = np.nonzero(frame)
        corner = np.asarray(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        points = corner + np.outer(rows * row_mm, orientation[3:]) + np.outer(columns * column_mm, orientation[:3])
        kji = grid.to_kji(points)
        assert np.abs(kji - np.rint(kji)).max() < 0.01
        name = names[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        found[name][tuple(np.rint(kji).astype(int).T)] = True
    return found


def _turned(ct: CtVolume, axes: tuple[int, ...]) -> CtVolume:
    """The same scan stored with some axes (k, j, i) the other way round."""
    corner = [n - 1 if axis in axes else 0 for axis, n in enumerate(ct.hu.shape)]
    columns = np.asarray(ct.geometry.direction).reshape(3, 3).copy()
    for axis in axes:
        columns[:, 2 - axis] *= -1
    origin = tuple(float(v) for v in ct.geometry.to_lps_mm(corner))
    geometry = replace(ct.geometry, origin_lps_mm=origin, direction=tuple(float(v) for v in columns.ravel()))
    return replace(ct, hu=np.flip(ct.hu, axes), geometry=geometry)


def _multi_frame(files: list[Path], path: Path) -> None:
    """All slices as frames of one enhanced CT, from head to feet but for two that change places."""
    slices = [pydicom.dcmread(file) for file in reversed(files)]
    slices[3], slices[9] = slices[9], slices[3]
    write_enhanced(slices, path)


@pytest.mark.parametrize("stored", ["as usual", "rows reversed", "seen from the feet", "oblique", "multi-frame"])
def test_every_mask_voxel_lies_where_it_lay_in_the_patient(
    stored: str,
    box_ct: CtVolume,
    findings: StudyFindings,
    masks: dict[str, np.ndarray],
    segmented: Segmented,
    tmp_path: Path,
) -> None:
    c, s = np.cos(np.radians(8.0)), np.sin(np.radians(8.0))
    ct = {
        "rows reversed": _turned(box_ct, (1, 2)),
        "seen from the feet": _turned(box_ct, (0, 2)),
        "oblique": replace(box_ct, geometry=replace(box_ct.geometry, direction=(1.0, 0.0, 0.0, 0.0, c, -s, 0.0, s, c))),
    }.get(stored, box_ct)
    files = write_dicom_series(ct, tmp_path / "scan")
    if stored == "multi-frame":
        (tmp_path / "one").mkdir()
        _multi_frame(files, tmp_path / "one/all.dcm")
    folder = tmp_path / ("one" if stored == "multi-frame" else "scan")
    loaded = load_ct(folder)
    assert np.array_equal(loaded.hu, box_ct.hu)
    findings = replace(findings, geometry=loaded.geometry)

    source = open_source(folder, findings.series, findings.geometry)
    segmentation = segmented(source, findings)

    found = _voxels(segmentation, loaded.geometry)
    assert found.keys() == masks.keys()
    for name, truth in masks.items():
        assert np.array_equal(found[name], truth), name
    sources = {one.SOPInstanceUID for one in source.datasets}
    assert {uids[2] for uids in segmentation.get_source_image_uids()} == sources
    save(make_measurements(source, segmentation, findings, Remarks()), tmp_path / "sr.dcm")
    assert len(highdicom.sr.srread(tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups()) == 4


def test_each_frame_refers_to_the_slice_it_lies_on(segmentation: Segmentation, box_files: list[Path]) -> None:
    heights = {}
    for path in box_files:
        one = pydicom.dcmread(path)
        heights[one.SOPInstanceUID] = one.ImagePositionPatient[2]
    for groups in segmentation.PerFrameFunctionalGroupsSequence:
        reference = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert heights[reference] == groups.PlanePositionSequence[0].ImagePositionPatient[2]


def test_segments_are_coded_coloured_and_named(
    segmentation: Segmentation, source: SourceSeries, masks: dict[str, np.ndarray]
) -> None:
    right, left, first, second = segmentation.SegmentSequence

    assert [one.SegmentLabel for one in segmentation.SegmentSequence] == [f"{name} ä" for name in masks]
    assert right.SegmentedPropertyTypeCodeSequence[0].CodeValue == "39607008"
    modifiers = [
        one.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0] for one in (right, left)
    ]
    assert [one.CodeMeaning for one in modifiers] == ["Right", "Left"]
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "27925004"
    assert second.AnatomicRegionSequence[0].CodeValue == "39607008"
    assert second.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeMeaning == "Left"
    algorithm = first.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("nodule_ct_segmentation", "0.1.0")
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    color = highdicom.color.CIELabColor.from_dicom_value(first.RecommendedDisplayCIELabValue)
    assert color.to_rgb(clip=True) == pytest.approx((217, 38, 38), abs=2)
    assert segmentation.FrameOfReferenceUID == source.datasets[0].FrameOfReferenceUID
    assert segmentation.SegmentsOverlap == "YES"


def test_an_outline_drawn_by_hand_names_no_algorithm(
    source: SourceSeries, findings: StudyFindings, structures_of: StructuresOf
) -> None:
    drawn = [replace(one, drawn=SegmentAlgorithmTypeValues.MANUAL) for one in structures_of(findings)]

    segment = make_segmentation(source, drawn).SegmentSequence[2]

    assert segment.SegmentAlgorithmType == "MANUAL"
    assert "SegmentationAlgorithmIdentificationSequence" not in segment


def test_nothing_to_segment_is_refused(source: SourceSeries) -> None:
    with pytest.raises(InputError, match="nothing to segment"):
        make_segmentation(source, [])


def test_a_mask_off_the_grid_is_refused(
    source: SourceSeries, findings: StudyFindings, structures_of: StructuresOf
) -> None:
    grid = findings.geometry.crop((10, 0, 0), (7, 40, 48))
    structure = replace(structures_of(findings)[0], voxels=np.ones((7, 40, 48), bool), grid=grid)

    with pytest.raises(InputError, match="not the slices that were analysed"):
        make_segmentation(source, [structure])
