from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.patch import quantise
from LungNoduleCADLib.training.nodule_pack import NodulePack


def test_rows_become_nodules_with_their_ratings(pack: NodulePack) -> None:
    first, second, third = pack.nodules

    assert (first.type, second.type, third.type) == (
        NoduleType.SOLID,
        NoduleType.PART_SOLID,
        NoduleType.GROUND_GLASS,
    )
    assert first.ratings["malignancy"] == (4, 5, 4)
    assert first.median("malignancy") == 4
    assert first.mean("malignancy") == pytest.approx(13 / 3)
    assert first.start_kji == (20, 100, 200)


def test_hu_is_rounded_down_to_multiples_of_eight(pack: NodulePack) -> None:
    assert quantise(np.array([-1024, -1, 0, 7, 43, 3071], np.int16)).tolist() == [-1024, -8, 0, 0, 40, 3064]
    assert np.unique(pack.load(pack.nodules[0]).hu).tolist() == [-896, 40]


def test_the_consensus_is_what_half_of_the_readers_marked(pack: NodulePack) -> None:
    nodule = pack.nodules[0]
    block = pack.load(nodule)

    assert sorted(np.unique(np.round(block.votes, 3))) == pytest.approx([0, 0.667, 1.0])
    assert block.consensus.sum() * block.geometry.voxel_volume_mm3 == pytest.approx(nodule.volume_mm3)
    assert block.geometry.spacing_kji_mm == (2.0, 0.8, 0.8)


def test_exactly_half_of_the_readers_is_enough(pack: NodulePack) -> None:
    block = pack.load(replace(pack.nodules[0], n_readers=4))

    assert sorted(np.unique(block.votes)) == [0.0, 0.5, 0.75]
    assert np.array_equal(block.consensus, block.votes > 0)


def test_nodules_are_chosen_by_fold(pack: NodulePack) -> None:
    assert [n.nodule_id for n in pack.of_folds((3,))] == ["B_n00"]
    assert [n.nodule_id for n in pack.of_folds((0, 3), lambda n: n.type != "solid")] == ["A_n01", "B_n00"]


def test_the_digest_of_the_split_depends_on_patients_and_folds_only(pack_folder: Path) -> None:
    before = NodulePack(pack_folder).split_sha256()
    table = pack_folder / "nodules.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([lines[0], lines[3], lines[1]]) + "\n", encoding="utf-8")
    reordered = NodulePack(pack_folder).split_sha256()
    table.write_text("\n".join([lines[0], lines[3].replace("B,3", "B,2"), lines[1]]) + "\n", encoding="utf-8")
    moved = NodulePack(pack_folder).split_sha256()

    assert reordered == before
    assert moved != before


def test_a_folder_that_is_no_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="This is no nodule pack"):
        NodulePack(tmp_path)


def test_a_missing_column_is_named(pack_folder: Path) -> None:
    table = pack_folder / "nodules.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("spacing_z", "spacing"), encoding="utf-8")

    with pytest.raises(InputError, match="column 'spacing_z'"):
        NodulePack(pack_folder)


@pytest.mark.parametrize(("fold", "read"), [("7", 7), ("", -1), ("test", -1)])
def test_another_pack_may_number_its_folds_otherwise_or_not_at_all(pack_folder: Path, fold: str, read: int) -> None:
    table = pack_folder / "nodules.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("B,3,", f"B,{fold},"), encoding="utf-8")

    assert [nodule.fold for nodule in NodulePack(pack_folder).nodules] == [0, 0, read]


@pytest.mark.parametrize(("word", "other"), [("partsolid", "mixed"), ("5;5;4", "5;x;4")])
def test_a_row_that_makes_no_sense_is_named_by_its_line(pack_folder: Path, word: str, other: str) -> None:
    table = pack_folder / "nodules.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(word, other), encoding="utf-8")

    with pytest.raises(InputError, match=r"nodules\.csv makes no sense in line [23]"):
        NodulePack(pack_folder)


def test_a_missing_shard_is_named(pack: NodulePack) -> None:
    (pack.folder / "nodules_00.npz").unlink()

    with pytest.raises(InputError, match=r"shard of the nodule pack is missing: expected .*nodules_00\.npz"):
        pack.load(pack.nodules[0])


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.95])
def test_a_truncated_shard_is_named(pack: NodulePack, kept: float) -> None:
    shard = pack.folder / "nodules_00.npz"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])

    with pytest.raises(InputError, match=r"nodules_00\.npz is damaged"):
        pack.load(pack.nodules[0])


def test_a_shard_with_damaged_pixels_is_named(pack: NodulePack) -> None:
    shard = pack.folder / "nodules_00.npz"
    content = bytearray(shard.read_bytes())
    content[200:400] = bytes(200)
    shard.write_bytes(bytes(content))

    with pytest.raises(InputError, match=r"nodules_00\.npz is damaged"):
        pack.load(pack.nodules[0])


def test_a_nodule_that_its_shard_has_not_is_named(pack: NodulePack) -> None:
    with pytest.raises(InputError, match="lacks a nodule of the table: expected X_n00_hu"):
        pack.load(replace(pack.nodules[0], nodule_id="X_n00"))


def test_outlines_of_another_shape_than_the_pixels_are_refused(pack: NodulePack) -> None:
    np.savez(pack.folder / "nodules_00.npz", A_n00_hu=np.zeros((2, 3, 4)), A_n00_readers=np.zeros((2, 3, 5)))

    with pytest.raises(InputError, match=r"A_n00 is damaged in nodules_00\.npz"):
        pack.load(pack.nodules[0])


def test_the_shared_pack_can_be_read(shared_data: Path) -> None:
    pack = NodulePack(shared_data / "nodules")
    nodule = pack.nodules[0]
    block = pack.load(nodule)

    assert len(pack.nodules) > 2000
    assert block.consensus.sum() * block.geometry.voxel_volume_mm3 == pytest.approx(nodule.volume_mm3, rel=0.01)
