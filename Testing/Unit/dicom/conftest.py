"""A small box of tissue in air, as a CT and as files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.phantom.dicom import write_dicom_series


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
