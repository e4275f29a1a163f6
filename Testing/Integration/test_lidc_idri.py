"""A real LIDC-IDRI scan with its XML against the table that was made of it independently."""

from __future__ import annotations

import csv
import tarfile
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.training.data import TYPES, open_training_data
from LungNoduleCADLib.training.nodule_pack import NodulePack

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
SERIES = "lidc-1011"


def test_nodules_are_those_of_the_table_and_voxel_for_voxel_those_of_the_pack(
    shared_data: Path, tmp_path: Path
) -> None:
    """Three nodules of four readers, one of them part-solid, and a ground-glass one of a single reader."""
    with tarfile.open(shared_data / "ct" / f"{SERIES}.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    with (shared_data / "ct" / "nodules.csv").open(encoding="utf-8") as file:
        truth = [row for row in csv.DictReader(file) if row["series"] == SERIES]
    pack = NodulePack(shared_data / "nodules")
    packed = {nodule.nodule_id: nodule for nodule in pack.nodules}

    data = open_training_data(tmp_path)

    assert [nodule.nodule_id for nodule in data.nodules] == [row["nodule_id"] for row in truth]
    for nodule, row in zip(data.nodules, truth, strict=True):
        block, theirs = data.load(nodule), pack.load(packed[nodule.nodule_id])
        centre = block.geometry.to_lps_mm(nodule.centre_kji)
        offset = np.subtract(packed[nodule.nodule_id].start_kji, nodule.start_kji)
        box = tuple(slice(o, o + n) for o, n in zip(offset, theirs.votes.shape, strict=True))
        assert nodule.n_readers == int(row["n_readers"])
        assert nodule.type is TYPES[row["type"]]
        assert np.linalg.norm(centre - [float(row[f"{axis}_mm"]) for axis in "lps"]) < 0.5
        assert nodule.eq_diameter_mm == pytest.approx(float(row["eq_diameter_mm"]), rel=0.02)
        for rating in ("malignancy", "texture"):
            assert nodule.median(rating) == float(row[f"{rating}_median"])
        assert nodule.ratings == packed[nodule.nodule_id].ratings
        assert block.votes[box] == pytest.approx(theirs.votes)
        assert np.count_nonzero(block.votes) == np.count_nonzero(theirs.votes)
        assert (
            np.abs(block.hu[box] - theirs.hu.astype(int))[theirs.votes > 0].mean() < 16
        )  # the pack's HU are estimates
