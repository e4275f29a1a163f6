"""A tiny nodule pack in the documented format: balls of known volume in flat lung."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.training.nodule_pack import NodulePack

LUNG_HU, SPACING_ZYX = -896, (2.0, 0.8, 0.8)
RADIUS_MM = 5.0


def ball_block() -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """HU and a mask of a ball of 5 mm in five slices of 61 mm, only slices with nodule in them."""
    shape = (5, 76, 76)
    centre = (2.0, 37.5, 37.5)
    offset = (np.moveaxis(np.indices(shape), 0, -1) - centre) * SPACING_ZYX
    ball = np.linalg.norm(offset, axis=-1) <= RADIUS_MM
    return np.where(ball, 43, LUNG_HU + 3).astype(np.int16), ball, centre


def row(nodule_id: str, patient: str, fold: int, **more: object) -> dict[str, object]:
    _, ball, centre = ball_block()
    volume = ball.sum() * float(np.prod(SPACING_ZYX))
    return {
        "nodule_id": nodule_id,
        "patient_id": patient,
        "fold": fold,
        "shard": "nodules_00.npz",
        "n_readers": 3,
        "type": "solid",
        "hu_source": "exact",
        "eq_diameter_mm": (6 * volume / np.pi) ** (1 / 3),
        "volume_mm3": volume,
        **{f"spacing_{axis}": s for axis, s in zip("zyx", SPACING_ZYX, strict=True)},
        **{f"c{axis}": c for axis, c in zip("zyx", centre, strict=True)},
        "ring_hu": -860,
        "z_index0": 20,
        "row0": 100,
        "col0": 200,
        "malignancy_readers": "4;5;4",
        "texture_readers": "5;5;4",
        "subtlety_readers": "5;4;3",
        "sphericity_readers": "4;4;4",
        "margin_readers": "5;5;2",
        "lobulation_readers": "1;1;2",
        "spiculation_readers": "1;1;1",
        "calcification_readers": "6;6;3",
    } | more


@pytest.fixture
def pack_folder(tmp_path: Path) -> Path:
    hu, ball, _ = ball_block()
    inner = ball.copy()
    inner[0] = inner[-1] = False
    readers = (ball * 0b001 + ball * 0b010 + inner * 0b100).astype(np.uint8)
    rows = [
        row("A_n00", "A", 0),
        row("A_n01", "A", 0, malignancy_readers="3;3;3", type="partsolid", texture_readers="3;3;5"),
        row("B_n00", "B", 3, malignancy_readers="1;2;2", type="nonsolid", texture_readers="1;2;1"),
    ]
    folder = tmp_path / "pack"
    folder.mkdir()
    with (folder / "nodules.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    arrays = {f"{r['nodule_id']}_hu": hu for r in rows} | {f"{r['nodule_id']}_readers": readers for r in rows}
    np.savez_compressed(folder / "nodules_00.npz", **arrays)
    return folder


@pytest.fixture
def pack(pack_folder: Path) -> NodulePack:
    return NodulePack(pack_folder)
