"""The whole way, small: a pack of balls to bundles, and bundles to figures."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.classification.familiarity import Familiarity
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.nodules.segment import NoduleSegmenter
from LungNoduleCADLib.training import (
    cases,
    detection_samples,
    evaluate,
    evaluate_detection,
    evaluate_fusion,
    outline_thresholds,
    prepare,
    run,
    train_fusion,
)
from LungNoduleCADLib.training.lung_background import Donor
from LungNoduleCADLib.training.verify import verify_bundle

TINY = {
    "nodule_ct_attributes": {
        "arguments": {"widths": [4, 8, 8, 8], "stem_stride": 2, "stem_kernel": 3, "dropout": 0.0},
        "samples_per_epoch": 32,
        "validation_non_nodules": 20,
    },
    "nodule_ct_detection": {
        "arguments": {"in_channels": 1, "filters": [4, 8, 8, 8], "norm": "batch"},
        "samples_per_epoch": 16,
        "validation_cubes": 12,
    },
    "nodule_ct_segmentation": {"arguments": {"in_channels": 2, "filters": [4, 8, 8, 8]}, "samples_per_epoch": 8},
    "nodule_fusion": {"cross_validation": 3, "rounds": 5},
}


@pytest.fixture
def pack_of_many(tmp_path: Path, pack_folder: Path) -> Path:
    """Thirty patients in folds 0 to 4 with a ball each, half of them suspicious, one of the two kinds brighter."""
    with (pack_folder / "nodules.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    arrays = dict(np.load(pack_folder / "nodules_00.npz"))
    table, shard = [], {}
    for n in range(30):
        source, name, suspicious = rows[n % 3], f"P{n:02}_n00", n % 2 == 0
        grades = "5;5;4" if suspicious else "1;2;1"
        table.append(
            source | {"nodule_id": name, "patient_id": f"P{n:02}", "fold": n % 5, "malignancy_readers": grades}
        )
        hu = arrays[f"{source['nodule_id']}_hu"]
        shard[f"{name}_hu"] = np.where(hu > -500, 300, hu).astype(np.int16) if suspicious else hu
        shard[f"{name}_readers"] = arrays[f"{source['nodule_id']}_readers"]
    folder = tmp_path / "many"
    folder.mkdir()
    with (folder / "nodules.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    np.savez_compressed(folder / "nodules_00.npz", **shard)
    return folder


@pytest.fixture
def tiny_bundles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ct_of: Callable[..., CtVolume]
) -> Callable[[str], Bundle]:
    """The shipped recipes with small networks, one member and one epoch, without weights; flat lung for background."""

    def donor(_: int) -> Donor:
        ct = ct_of(np.full((40, 60, 60), -880.0), (3.0, 2.0, 2.0))
        return Donor(ct, LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("all", "1")), np.zeros((0, 4)))

    for name, changes in TINY.items():
        source, target = find_bundle(name).path, tmp_path / "models" / name
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.safetensors", "evaluation.json"))
        file = target / "configs/train.json"
        recipe = json.loads(file.read_text(encoding="utf-8")) | changes
        recipe["folds"] |= {"held_out": [3]} if name != "nodule_fusion" else {"cross_fitted": [3]}
        if "samples" in recipe:
            recipe["samples"] |= {"phantoms": {**recipe["samples"]["phantoms"], "count": 0}}
            recipe["loop"] |= {"epochs": 1}
            recipe["batch"] = 4
        file.write_text(json.dumps(recipe), encoding="utf-8")

    def find(name: str) -> Bundle:
        trained = tmp_path / "trained" / name
        return Bundle(trained if trained.is_dir() else tmp_path / "models" / name)

    for module in (run, evaluate, train_fusion, evaluate_fusion):
        monkeypatch.setattr(module, "find_bundle", find)
    monkeypatch.setattr(prepare, "phantom_donor", donor)
    monkeypatch.setattr(prepare, "PLACES_EACH", 40)
    monkeypatch.setattr(cases, "PLACES", 40)
    monkeypatch.setattr(detection_samples, "PLACES_EACH", 40)
    for module in (evaluate_detection, outline_thresholds):
        monkeypatch.setattr(module, "PHANTOM_SEEDS", ())
    return find


def test_a_pack_becomes_bundles_that_are_evaluated_on_the_fold_they_never_saw(
    tmp_path: Path, pack_of_many: Path, tiny_bundles: Callable[[str], Bundle]
) -> None:
    said: list[str] = []
    figures = {}
    for name in TINY:
        out = tmp_path / "trained" / name
        run.train_bundle(name, pack_of_many, None, tmp_path / "work", out, "cpu", said.append)
        pictures = tmp_path / "pictures" / name
        figures[name] = evaluate.evaluate_bundle(name, pack_of_many, None, None, "cpu", said.append, pictures)

    assert all(figures[name]["fold"] == 4 and figures[name]["nodules"] == 6 for name in TINY)
    segmentation = figures["nodule_ct_segmentation"]["figures"]
    assert 0.0 <= segmentation["all"]["dice"]["value"] <= 1.0
    assert set(tiny_bundles("nodule_ct_segmentation").inference["thresholds"]) == {"0.5", "1", "2"}
    assert 0.0 <= segmentation["all"]["surface_dice_at_1_mm"]["value"] <= 1.0
    detection = figures["nodule_ct_detection"]["figures"]["set_into_lung"]["all"]
    assert all(0.0 <= detection[finder]["value"] <= 1.0 for finder in ("network", "classical", "network and classical"))
    attributes = figures["nodule_ct_attributes"]["figures"]
    assert 0.0 <= attributes["flagged_as_unfamiliar"]["value"] <= 1.0
    assert 0.0 <= attributes["malignancy_auc_median_above_3"]["value"] <= 1.0
    assert set(tiny_bundles("nodule_ct_attributes").inference["calibration"]) == {"nodule", "malignancy", "nodule_type"}
    known = Familiarity.from_bundle(tiny_bundles("nodule_ct_attributes"), unseen_fold=3)
    assert known is not None
    assert len(known.members) == 1
    assert figures["nodule_fusion"]["figures"]["not_outlined"] <= 6
    drawn = {str(file.relative_to(tmp_path / "pictures")) for file in (tmp_path / "pictures").rglob("*.png")}
    assert "nodule_ct_attributes/roc-malignancy.png" in drawn
    assert "nodule_fusion/reliability-malignancy.png" in drawn
    assert any("nodule_ct_segmentation/hard-examples" in name for name in drawn)
    problems = verify_bundle(tiny_bundles("nodule_ct_attributes"))
    assert problems == ["there is no evaluation.json"]


def test_members_trained_one_by_one_are_put_together_without_training_again(
    tmp_path: Path, pack_of_many: Path, tiny_bundles: Callable[[str], Bundle]
) -> None:
    name, work, out = "nodule_ct_segmentation", tmp_path / "work", tmp_path / "trained" / "nodule_ct_segmentation"

    alone = run.train_bundle(name, pack_of_many, None, work, out, "cpu", str, only_held_out=3)
    log = (work / name / "held_out_3/log.csv").read_text(encoding="utf-8")
    bundle = run.train_bundle(name, pack_of_many, None, work, out, "cpu", str)

    assert alone is None
    assert (work / name / "held_out_3/log.csv").read_text(encoding="utf-8") == log
    assert bundle.inference["members"] == [{"held_out_fold": 3, "file": "models/held_out_3.safetensors"}]
    assert len(NoduleSegmenter.from_bundle(tiny_bundles(name), "cpu", unseen_fold=3).networks) == 1
