"""A whole case that takes seconds: a small chest with a nodule, twice."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from privacy import MARK, add_secondary_capture, mark_series

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.phantom.dicom import write_dicom_series

ENCODER, OUTLINES = "nodule_ct_attributes", "nodule_ct_segmentation"
OTHERS = (OUTLINES, "nodule_fusion")
NARROW = {"widths": [4, 4, 8, 8], "stem_stride": 2, "stem_kernel": 3, "dropout": 0.0}
NODULE_LPS_MM = (-42.0, 0.0, 50.0)
SHAPE, SPACING_MM = (34, 58, 72), (3.0, 3.0, 3.0)
MIDDLE_LPS_MM, BODY_MM = (0.0, 0.0, 50.0), (95.0, 70.0, 500.0)
LUNGS_LPS_MM, LUNG_MM = ((-42.0, 0.0, 50.0), (42.0, 0.0, 50.0)), (32.0, 50.0, 42.0)
DAYS_BETWEEN = 180


def chest_with_nodule(diameter_mm: float = 12.0, days: int = 0) -> CtVolume:
    """Two lungs in tissue, a ball in the right one."""
    geometry = Geometry(SHAPE, (-106.5, -85.5, 0.0), SPACING_MM)
    points = geometry.to_lps_mm(np.moveaxis(np.indices(SHAPE), 0, -1))
    hu = np.full(SHAPE, -1000.0)
    hu[(((points - MIDDLE_LPS_MM) / BODY_MM) ** 2).sum(-1) < 1] = 40.0
    for lung in LUNGS_LPS_MM:
        hu[(((points - lung) / LUNG_MM) ** 2).sum(-1) < 1] = -860.0
    distance_mm = np.linalg.norm(points - NODULE_LPS_MM, axis=-1)
    hu += np.clip(diameter_mm / 2 - distance_mm + 1.5, 0.0, 3.0) / 3.0 * 890.0 * (distance_mm < diameter_mm)
    uid = f"1.2.826.0.1.3680043.8.498.{days + 1}"
    series = SeriesDescription(
        uid, f"{uid}.1", study_date=date(2024, 3, 1) + timedelta(days), kernel="B30f", slice_thickness_mm=3.0
    )
    return CtVolume(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), geometry, series)


def write_case(folder: Path) -> tuple[Path, Path]:
    """DICOM folders of the prior and of the current scan, everything that may identify the patient marked in them."""
    prior, current = folder / f"{MARK}_Jane_1", folder / f"{MARK}_Jane_2"
    for place, ct in ((prior, chest_with_nodule()), (current, chest_with_nodule(14.0, DAYS_BETWEEN))):
        write_dicom_series(ct, place)
        mark_series(place)
        add_secondary_capture(place)
    return prior, current


def write_models(folder: Path) -> Path:
    """A models folder that answers quickly: no networks for lungs and detection, one that outlines, and an untrained,
    narrow encoder.

    What it says of a nodule means nothing; everything around it is the product's own.
    """
    import torch
    from safetensors.torch import save_file

    from LungNoduleCADLib.networks.build import build_network

    for name in OTHERS:
        shutil.copytree(find_bundle(name).path, folder / name, ignore=shutil.ignore_patterns("docs"))
    outlines = folder / OUTLINES / "configs/inference.json"
    settings = json.loads(outlines.read_text(encoding="utf-8"))
    patch = settings["patch"] | {"spacings_mm": [1.0, 2.0]}
    thresholds = {mm: settings["thresholds"][mm] for mm in ("1", "2")}
    member, *others = settings["members"]
    for other in others:
        (folder / OUTLINES / other["file"]).unlink()
    _change(outlines, members=[member], patch=patch, thresholds=thresholds)
    target = folder / ENCODER
    shutil.copytree(find_bundle(ENCODER).path, target, ignore=shutil.ignore_patterns("*.safetensors", "docs"))
    torch.manual_seed(0)
    weights, network = target / "models/one.safetensors", build_network("NoduleEncoder", NARROW)
    weights.parent.mkdir(exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in network.state_dict().items()}, weights)
    members = [{"held_out_fold": None, "file": "models/one.safetensors"}]
    patch = {"size": 16, "spacing_mm": 1.6}
    _change(target / "configs/inference.json", arguments=NARROW, members=members, patch=patch)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    _change(target / "configs/metadata.json", weights_sha256={"models/one.safetensors": digest})
    return folder


def _change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")
