"""The image series in a folder tree, what speaks against each, and the one to analyse."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from LungNoduleCADLib.dicom.describe import describe
from LungNoduleCADLib.dicom.doubts import NOT_PREFERRED, series_doubts
from LungNoduleCADLib.dicom.headers import (
    SliceHeader,
    UnreadableFile,
    is_dicom,
    quiet_pydicom,
    read_dataset,
    slice_headers,
    text,
)
from LungNoduleCADLib.dicom.stack import check_slices, in_order, stack_geometry
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.domain.study import SeriesRef
from LungNoduleCADLib.errors import InputError

_DIRECTORY = "1.2.840.10008.1.3.10"


def find_series(folder: Path) -> list[SeriesRef]:
    """Every image series in a folder and its subfolders, usable or not, thinnest usable CT first.

    Raises
    ------
    InputError : the folder does not exist, is empty, or holds no DICOM image.
    """
    found = _scan(_checked_folder(folder))
    if not found.slices:
        raise _nothing_found(folder, found)
    groups = _group(found.slices)
    everywhere, damaged = _folder_flags(found), tuple(found.unreadable)
    with quiet_pydicom():
        series = [replace(_series_ref(group, everywhere), damaged=damaged) for group in groups]
    return sorted(series, key=lambda ref: (not ref.usable, ref.modality != "CT", _preference(ref)))


def choose_series(series: list[SeriesRef]) -> tuple[SeriesRef, str]:
    """The series to analyse and, in a sentence, why.

    Among usable CT series, those that cover the lungs come first; then the thinnest slices (the wider of spacing and
    thickness), then the most slices, then a soft kernel, then the latest study.

    Raises
    ------
    InputError : there is no CT, or none that can be analysed.
    """
    ct = [ref for ref in series if ref.modality == "CT"]
    if not ct:
        kinds = Counter(ref.modality for ref in series)
        raise InputError("no CT series among the images found", expected="modality CT",
                         got=_listed(kinds) or "no image", todo="choose a folder with a chest CT")  # fmt: skip
    usable = sorted((ref for ref in ct if ref.usable), key=_preference)
    if not usable:
        raise _none_usable(ct)
    chosen = _with_identity_doubts(usable[0], usable)
    return chosen, _reason(chosen, usable, len(series))


@dataclass
class _Found:
    slices: list[SliceHeader] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    duplicates: int = 0
    other_objects: Counter[str] = field(default_factory=Counter)
    files: int = 0


def _checked_folder(folder: Path) -> Path:
    if not folder.exists():
        raise InputError(f"the folder {folder} does not exist", todo="check the path")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", todo="give the folder that holds the DICOM files")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"the folder {folder} cannot be read", todo="check its permissions")
    return folder


def _scan(folder: Path) -> _Found:
    found, seen = _Found(), set()
    with quiet_pydicom():
        for path in _files(folder):
            found.files += 1
            for one in _headers_of(path, found):
                key = (one.sop_uid, one.frame)
                if one.sop_uid and key in seen:
                    found.duplicates += 1
                    continue
                seen.add(key)
                found.slices.append(one)
    return found


def _files(folder: Path) -> Iterable[Path]:
    for where, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(where) / name for name in sorted(names))


def _headers_of(path: Path, found: _Found) -> tuple[SliceHeader, ...]:
    """The slices of one file; what is not an image is counted in ``found``."""
    try:
        if not path.is_file():
            return ()
        if not is_dicom(path):
            if path.suffix.lower() in (".dcm", ".dicom", ".ima"):
                found.unreadable.append(path.name)
            return ()
        dataset = read_dataset(path, pixels=False)
        if text(dataset, "SOPClassUID") in (_DIRECTORY, ""):
            return ()
        slices = slice_headers(path, dataset)
    except (UnreadableFile, OSError):
        found.unreadable.append(path.name)
        return ()
    if not slices:
        found.other_objects[text(dataset, "Modality") or "unknown"] += 1
    return slices


def _nothing_found(folder: Path, found: _Found) -> InputError:
    if not found.files:
        return InputError(f"the folder {folder} is empty", expected="DICOM files of a chest CT",
                          todo="choose the folder that holds the scan")  # fmt: skip
    if found.other_objects:
        return InputError(f"no DICOM image in {folder}", expected="a CT series",
                          got=f"only {_listed(found.other_objects)}",
                          todo="choose the folder that holds the scan itself")  # fmt: skip
    unreadable = f", {len(found.unreadable)} of them damaged DICOM" if found.unreadable else ""
    return InputError(f"no DICOM image in {folder}", expected="DICOM files of a chest CT",
                      got=f"{found.files} other files{unreadable}",
                      todo="choose the folder that holds the scan")  # fmt: skip


def _folder_flags(found: _Found) -> tuple[QualityFlag, ...]:
    flags = []
    if found.unreadable:
        skipped = f"{len(found.unreadable)} damaged files in the folder were skipped."  # their names may be of patients
        flags.append(QualityFlag("unreadable_files", Severity.WARNING, skipped))
    if found.duplicates:
        flags.append(
            QualityFlag(
                "duplicate_files",
                Severity.INFO,
                f"{found.duplicates} images lie in the folder twice; each was used once.",
            )
        )
    return tuple(flags)


def _group(slices: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices of one series, alike in size, kind and orientation; two acquisitions apart where they overlap."""
    groups: list[list[SliceHeader]] = []
    by_series: dict[tuple[object, ...], list[list[SliceHeader]]] = {}
    for one in slices:
        multi_frame_file = one.path if one.frame is not None else None
        key = (one.series_uid, one.modality, one.sop_class, one.shape_ji, one.image_type[:3], multi_frame_file)
        alike = by_series.setdefault(key, [])
        home = next((group for group in alike if _same_orientation(group[0], one)), None)
        if home is None:
            home = []
            alike.append(home)
            groups.append(home)
        home.append(one)
    return [part for group in groups for part in _acquisitions(group)]


def _same_orientation(a: SliceHeader, b: SliceHeader) -> bool:
    if a.frame is not None or a.orientation is None or b.orientation is None:
        return a.frame is not None or a.orientation == b.orientation
    return bool(np.allclose(a.orientation, b.orientation, atol=0.01))


def _acquisitions(group: list[SliceHeader]) -> list[list[SliceHeader]]:
    """One group per acquisition where that, and only that, gets rid of slices at the same position."""
    if not _overlaps(group):
        return [group]
    parts: dict[str, list[SliceHeader]] = {}
    for one in group:
        parts.setdefault(one.acquisition, []).append(one)
    return [group] if any(_overlaps(part) for part in parts.values()) else list(parts.values())


def _overlaps(group: list[SliceHeader]) -> bool:
    positions = [tuple(round(v, 2) for v in s.position_mm) for s in group if s.position_mm]
    return len(set(positions)) < len(positions)


def _series_ref(group: list[SliceHeader], everywhere: tuple[QualityFlag, ...]) -> SeriesRef:
    slices = in_order(group)
    geometry, flags, usable = None, [], True
    problems = check_slices(slices)
    no_grid = ("no_geometry", "differing", "bad_size", "bad_orientation", "duplicate_positions")
    if not any(code.startswith(no_grid) for code, _ in problems):
        geometry = stack_geometry(slices)
    for flag, blocks in series_doubts(slices, geometry):
        flags.append(flag)
        usable = usable and not blocks
    if slices[0].modality == "CT" and usable:
        # what is no CT or no volume needs no geometric reproach on top
        flags += [QualityFlag(code, Severity.SERIOUS, str(error)) for code, error in problems]
        usable = not problems
    return SeriesRef(
        description=describe(slices[0]),
        files=tuple(dict.fromkeys(s.path for s in slices)),
        modality=slices[0].modality,
        n_slices=len(slices),
        spacing_kji_mm=geometry.spacing_kji_mm if geometry else None,
        flags=(*flags, *everywhere),
        usable=usable,
    )


def _preference(ref: SeriesRef) -> tuple[float, ...]:
    """Sorts the best series first."""
    codes = {flag.code for flag in ref.flags}
    study_date = ref.description.study_date
    return (
        len(codes & NOT_PREFERRED),
        round(_effective_thickness_mm(ref), 1),
        -ref.n_slices,
        "sharp_kernel" in codes,
        -(study_date.toordinal() if study_date else 0),
    )


def _effective_thickness_mm(ref: SeriesRef) -> float:
    return max(ref.spacing_kji_mm[0] if ref.spacing_kji_mm else 99.0, ref.description.slice_thickness_mm or 0.0)


def _with_identity_doubts(chosen: SeriesRef, usable: list[SeriesRef]) -> SeriesRef:
    """Say so where the folder mixes patients or study dates: another series might have been meant."""
    flags = []
    if len({ref.description.patient_key for ref in usable}) > 1:
        flags.append(
            QualityFlag(
                "several_patients",
                Severity.SERIOUS,
                "The folder holds CT of more than one patient; check that the right one was used.",
            )
        )
    elif len({ref.description.study_uid for ref in usable}) > 1:
        flags.append(
            QualityFlag(
                "several_studies",
                Severity.WARNING,
                "The folder holds CT of more than one study; check that the right one was used.",
            )
        )
    return replace(chosen, flags=(*chosen.flags, *flags))


def _reason(chosen: SeriesRef, usable: list[SeriesRef], n_series: int) -> str:
    spacing = chosen.spacing_kji_mm[0] if chosen.spacing_kji_mm else 0.0
    facts = f"{chosen.n_slices} axial slices every {spacing:.2f} mm"
    if chosen.description.kernel:
        facts += f", kernel {chosen.description.kernel}"
    if len(usable) == 1:
        return f"The only usable chest CT series of {n_series} image series: {facts}."
    other = usable[1]
    names = ("covers the lungs best", "thinnest slices", "most slices", "softer kernel", "latest study")
    decided = next((name for name, a, b in zip(names, _preference(chosen), _preference(other), strict=True) if a != b),
                   "first of equals")  # fmt: skip
    return f"Best of {len(usable)} usable CT series ({decided}): {facts}."


def _none_usable(ct: list[SeriesRef]) -> InputError:
    names = ", ".join(ct[0].damaged[:3]) + (", …" if len(ct[0].damaged) > 3 else "")
    damaged = f" {len(ct[0].damaged)} damaged files in the folder were skipped: {names}." if names else ""
    if len(ct) == 1:
        return InputError(f"the only CT series, {_refusal(ct[0])}.{damaged}")
    return InputError("none of the CT series can be analysed",
                      got="; ".join(_refusal(ref) for ref in ct[:5]) + damaged.rstrip("."),
                      todo="choose a folder with a complete thin axial chest CT")  # fmt: skip


def _refusal(ref: SeriesRef) -> str:
    name = ref.description.description or f"series …{ref.description.series_uid[-8:]}"
    why = [flag.message.rstrip(".") for flag in ref.flags if flag.severity is Severity.SERIOUS]
    return f"{name} ({ref.n_slices} slices), cannot be analysed: {why[0] if why else 'not usable'}"


def _listed(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
