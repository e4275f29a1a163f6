"""Outlines of single nodules: the reader's, and those kept since an edit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.sitk_bridge import to_sitk
from LungNoduleCADLib.report.outlines import DRAWN, newest_outlines, outline_path, read_outline, write_outline

# 30° about the z axis
TURNED = (0.8660254037844387, -0.5, 0.0, 0.5, 0.8660254037844387, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((20, 30, 40), (-12.5, 7.25, -100.0), (2.5, 0.7, 0.7), TURNED)
MODEL = Method("nodule_ct_segmentation", "0.1.0", "ab" * 32)


def _mask(method: Method = MODEL) -> NoduleMask:
    voxels = np.random.default_rng(0).random((3, 4, 5)) > 0.4
    voxels[0, 0, 0] = voxels[-1, -1, -1] = True
    return NoduleMask(voxels, (4, 10, 20), GRID, method)


def _draw(path, labels: np.ndarray, geometry: Geometry):
    sitk.WriteImage(to_sitk(labels.astype(np.uint8), geometry), str(path))
    return path


def test_an_outline_comes_back_on_the_ct_grid_with_what_made_it(tmp_path):
    mask = _mask()
    path = outline_path(tmp_path, "N1", 3)
    write_outline(mask, path)
    back = read_outline(path, GRID)
    assert back.start_kji == mask.start_kji
    assert (back.voxels == mask.voxels).all()
    assert (back.geometry, back.method) == (GRID, MODEL)
    image = sitk.ReadImage(str(path))
    assert image.GetPixelID() == sitk.sitkUInt8
    assert image.GetSize() == (5, 4, 3)
    assert set(np.unique(sitk.GetArrayFromImage(image))) == {0, 1}


def test_a_label_image_without_a_maker_is_the_readers(tmp_path):
    labels = np.zeros((6, 9, 9))
    labels[2:4, 3:6, 3:7] = 7
    back = read_outline(_draw(tmp_path / "x.nrrd", labels, GRID.crop((5, 10, 12), (6, 9, 9))), GRID)
    assert back.method == DRAWN
    assert back.start_kji == (7, 13, 15)
    assert back.voxels.shape == (2, 3, 4)
    assert back.voxels.all()


def test_what_lies_outside_of_the_ct_is_left_out(tmp_path):
    labels = np.ones((4, 4, 4))
    back = read_outline(_draw(tmp_path / "x.nrrd", labels, GRID.crop((18, -2, 38), (4, 4, 4))), GRID)
    assert back.start_kji == (18, 0, 38)
    assert back.voxels.shape == (2, 2, 2)


@pytest.mark.parametrize(
    "grid",
    [
        replace(GRID, spacing_kji_mm=(1.25, 0.7, 0.7)),
        replace(GRID, direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)),
        replace(GRID, origin_lps_mm=(-12.5, 7.25, -99.0)),
    ],
)
def test_an_outline_on_another_grid_is_refused(tmp_path, grid):
    path = _draw(tmp_path / "x.nrrd", np.ones((2, 2, 2)), grid.crop((0, 0, 0), (2, 2, 2)))
    with pytest.raises(InputError, match="not on the grid"):
        read_outline(path, GRID)


def test_an_empty_outline_and_one_outside_of_the_ct_are_refused(tmp_path):
    for labels, start in ((np.zeros((2, 2, 2)), (0, 0, 0)), (np.ones((2, 2, 2)), (50, 0, 0))):
        with pytest.raises(InputError, match="empty"):
            read_outline(_draw(tmp_path / "x.nrrd", labels, GRID.crop(start, (2, 2, 2))), GRID)


def test_what_is_no_label_image_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_outline(tmp_path / "none.nrrd", GRID)
    (tmp_path / "text.nrrd").write_text("dear colleague")
    with pytest.raises(InputError, match="cannot be read"):
        read_outline(tmp_path / "text.nrrd", GRID)
    sitk.WriteImage(sitk.Image([4, 4], sitk.sitkUInt8), str(tmp_path / "flat.nrrd"))
    with pytest.raises(InputError, match="no label image"):
        read_outline(tmp_path / "flat.nrrd", GRID)


def test_the_newest_outline_of_a_finished_edit_holds(tmp_path):
    for name, number in (("N1", 2), ("N1", 10), ("N1", 11), ("N-2_b", 4)):
        write_outline(_mask(), outline_path(tmp_path, name, number))
    (tmp_path / "outlines" / "notes.nrrd").write_text("")
    assert newest_outlines(tmp_path, 10) == {
        "N1": outline_path(tmp_path, "N1", 10),
        "N-2_b": outline_path(tmp_path, "N-2_b", 4),
    }
    assert newest_outlines(tmp_path, 1) == {}
    assert newest_outlines(tmp_path / "nowhere", 1) == {}
