"""DICOM series with everything that can be wrong with them: read voxel-right, or refused in a sentence."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from chest_series import READ, READ_NEARLY, REFUSED, SLICES, Change, chest, write_chest
from tally import Tally

from LungNoduleCADLib.dicom.headers import CT_CLASSES, SliceHeader
from LungNoduleCADLib.dicom.load import MAX_HU, MIN_HU, decode_file, load_ct
from LungNoduleCADLib.domain.ct import CtVolume

LOSSY_STEPS = 2.0  # of stored values, by which decoders of lossy compression may differ


def derived_series() -> Tally:
    """The variants of a small chest CT."""
    tally = Tally("series derived from a chest CT")
    truth = chest().hu
    with tempfile.TemporaryDirectory() as work:
        for number, (name, change, expected) in enumerate(_variants(truth)):
            folder = Path(work, str(number))
            write_chest(folder)
            change(folder)
            tally.attempt(name, lambda folder=folder: load_ct(folder), expected)
            shutil.rmtree(folder)
    return tally


def _variants(truth: np.ndarray) -> Iterator[tuple[str, Change, Callable[[CtVolume], str] | None]]:
    for name, change in READ.items():
        yield name, change, _as(truth)
    for name, (change, most_hu) in READ_NEARLY.items():
        yield name, change, _as(truth, most_hu)
    for name, change in REFUSED.items():
        yield name, change, None


def _as(truth: np.ndarray, most_hu: int = 0) -> Callable[[CtVolume], str]:
    def wrong(ct: CtVolume) -> str:
        expected = truth[: len(ct.hu)] if len(ct.hu) == 10 else truth
        if ct.hu.shape != expected.shape:
            return f"shape {ct.hu.shape}"
        differ = int(np.count_nonzero(np.abs(ct.hu.astype(int) - expected) > most_hu))
        return f"{differ} of {expected.size} voxels differ" if differ else ""

    return wrong


def large_folder(count: int) -> Tally:
    """A scan amid ``count`` other files."""
    tally = Tally(f"a scan amid {count} other files")
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        write_chest(folder)
        for number in range(count):
            (folder / f"{number:06d}.bin").write_bytes(b"no image")
        tally.attempt("load", lambda: load_ct(folder), lambda ct: "" if len(ct.hu) == SLICES else "slices are missing")
    return tally


def objects_of_other_projects(folder: Path) -> Tally:
    """Every file that other projects test with, alone in a folder: no series of it may pass for a chest CT."""
    tally = Tally("objects of other projects' tests")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with tempfile.TemporaryDirectory() as work:
            shutil.copy(path, work)
            tally.attempt(path.name, lambda work=work: load_ct(Path(work)), None)
    return tally


def pixels_of_other_projects(folder: Path) -> Tally:
    """CT images of those: the HU that SimpleITK (GDCM) reads, or refused."""
    tally = Tally("CT images of other projects, against GDCM")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        truth = _by_gdcm(path)
        if truth is not None:
            tally.attempt(path.name, lambda path=path: decode_file(path), _near(truth), may_refuse=True)
    return tally


def _by_gdcm(path: Path) -> np.ndarray | None:
    """HU of a CT image, as SimpleITK reads it; ``None`` for what is none, or what it cannot read."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.SetImageIO("GDCMImageIO")
        image = reader.Execute()
        if reader.GetMetaData("0008|0016").strip("\0 ") not in CT_CLASSES:
            return None
    except RuntimeError:
        return None
    return np.clip(np.rint(sitk.GetArrayFromImage(image).astype(float)), MIN_HU, MAX_HU)


def _near(truth: np.ndarray) -> Callable[[list[tuple[SliceHeader, np.ndarray]]], str]:
    def wrong(slices: list[tuple[SliceHeader, np.ndarray]]) -> str:
        ours = np.stack([hu for _, hu in slices]).reshape(truth.shape)
        step = max(abs(header.slope or 1.0) for header, _ in slices)
        differ = (np.abs(ours - truth) > LOSSY_STEPS * step) & (ours > MIN_HU)  # padding is air here
        return f"{np.count_nonzero(differ)} of {truth.size} voxels differ" if differ.any() else ""

    return wrong
