from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training.augment import transforms_by_epoch
from LungNoduleCADLib.training.nodule_pack import PackNodule
from LungNoduleCADLib.training.samples import Sample, SampleStore
from LungNoduleCADLib.training.train_encoder import score_encoder
from LungNoduleCADLib.training.train_segmenter import score_segmenter

SIZE = 16
TYPES = (NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS)


@pytest.fixture(scope="module")
def ablations(repository: Path) -> ModuleType:
    file = repository / "Testing" / "Benchmarks" / "ablations.py"
    spec = importlib.util.spec_from_file_location("ablations", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def nodule(number: int, fold: int = 3) -> PackNodule:
    grades = (1, 2, 2) if number % 2 else (4, 5, 4)
    return PackNodule(
        nodule_id=f"N{number}",
        patient_id=f"P{number // 2}",
        fold=fold,
        shard="",
        n_readers=3,
        type=TYPES[number % 3],
        hu_source="exact",
        eq_diameter_mm=8.0,
        volume_mm3=268.0,
        spacing_kji_mm=(1.0, 1.0, 1.0),
        centre_kji=(0.0, 0.0, 0.0),
        ring_hu=None,
        start_kji=(0, 0, 0),
        ratings={"malignancy": grades},
    )


NODULES = {f"N{n}": nodule(n) for n in range(12)}


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    """Each nodule in lung of its fold and in synthetic lung, and non-nodules of the same fold."""
    rng = np.random.default_rng(0)
    samples = [Sample(n.nodule_id, n.patient_id, 3, b, real_context=False) for n in NODULES.values() for b in (3, -1)]
    samples += [Sample("", f"P{n}", 3, 3, real_context=True) for n in range(6)]
    ball = (np.linalg.norm(np.indices((SIZE,) * 3) - SIZE // 2, axis=0) < 5).astype(np.float32)
    cubes = ((ball * 800 - 850 + rng.normal(0, 150, ball.shape), ball, sample) for sample in samples)
    return SampleStore.write(tmp_path / "1mm", SIZE, cubes)


def test_a_change_is_merged_into_the_recipe_and_leaves_it_as_it_was(ablations: ModuleType) -> None:
    recipe = {"seed": 1, "losses": {"weights": {"nodule": 2.0}, "class_weights": {"nodule_type": [1, 2, 3]}}}

    mine = ablations.changed(recipe, {"losses": {"class_weights": {"nodule_type": [1, 1, 1]}, "nodule": "focal"}})

    wanted = {"weights": {"nodule": 2.0}, "class_weights": {"nodule_type": [1, 1, 1]}, "nodule": "focal"}
    assert mine == {"seed": 1, "losses": wanted}
    assert recipe["losses"]["class_weights"] == {"nodule_type": [1, 2, 3]}


def test_a_change_that_training_would_not_notice_is_refused(ablations: ModuleType) -> None:
    with pytest.raises(UsageError, match="no such switch"):
        ablations.changed({"seed": 1}, {"sead": 2})


@pytest.mark.parametrize("bundle", ["nodule_ct_attributes", "nodule_ct_segmentation"])
def test_every_row_changes_the_bundled_recipe_and_its_augmentation_can_be_made(
    ablations: ModuleType, bundle: str
) -> None:
    recipe = find_bundle(bundle).train
    for name, change in ablations.ROWS[bundle].items():
        if set(change) - set(recipe) - set(ablations.OPENED_BY_A_CHANGE):
            continue
        mine = ablations.changed(recipe, change)
        assert (mine != recipe) == (name != "base"), name
        assert transforms_by_epoch(mine["patch"]["size"], mine), name


def test_recorded_answers_give_the_recipes_own_score(ablations: ModuleType, store: SampleStore) -> None:
    torch.manual_seed(0)
    network = NoduleEncoder((2, 2, 2, 4), stem_stride=1, stem_kernel=3).eval()
    patch = {"size": SIZE, "spacing_mm": 1.0}
    judge = ablations._encoder_judge(store, NODULES, {"patch": patch, "validation_non_nodules": 6}, "cpu")
    rows = [n for n, s in enumerate(store.samples) if s.background_fold == 3]

    mine = judge.figures(judge.ask(network), np.arange(len(judge.patients)))

    assert mine == pytest.approx(score_encoder(EncoderRunner((network,), **patch, device="cpu"), store, rows, NODULES))
    assert judge.patients == [store.samples[row].patient for row in rows]


class Bright(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] * 4


def test_dice_nodule_by_nodule_has_the_recipes_mean(ablations: ModuleType, store: SampleStore) -> None:
    judge = ablations._segmenter_judge([store], NODULES, SIZE, "cpu")
    known = judge.ask(Bright())

    mine = judge.figures(known, np.arange(len(judge.patients)))

    assert mine == pytest.approx(score_segmenter(Bright(), [store], NODULES, 3, SIZE, "cpu", 99), rel=1e-5)
    assert len(set(known["dice_1mm"])) > 1
    assert len(judge.patients) == len(NODULES)


# bookkeeping, with a "network" that is one number

RECIPE = {"data": "balls", "seed": 5, "loop": {"epochs": 1}, "augmentation": {}}
ROWS = {"better": {"loop": {"epochs": 2}}, "the same": {"augmentation": {"affine": True}}}


class Bench:
    """Counts trainings; a network is worth as much as it has epochs, with some noise a patient."""

    def __init__(self, ablations: ModuleType, folder: Path, recipe: dict[str, Any] = RECIPE) -> None:
        self.ablations, self.recipe, self.trained, self.folder = ablations, recipe, [], folder
        self.noise = np.random.default_rng(3).normal(0, 0.2, 40)
        patients = [f"P{n // 2}" for n in range(40)]
        self.judge = ablations.Judge(
            self.train, self.ask, lambda known, rows: {"score": known["x"][rows].mean()}, patients
        )
        head = {"settings": recipe, "cases": 40}
        self.table = ablations.Table(folder / "ablations.json", "balls", head)

    def train(self, recipe: dict[str, Any], run: Path) -> int:
        self.trained.append(run.name)
        return recipe["loop"]["epochs"]

    def ask(self, worth: int) -> dict[str, np.ndarray]:
        return {"x": worth + self.noise}

    def run(self, rows: dict[str, Any] = ROWS, report: Callable[[str], None] = str) -> list[dict[str, Any]]:
        runs = self.folder / "runs" / str(self.recipe["seed"])
        self.ablations.run_rows(rows, self.recipe, self.judge, self.train, self.table, runs, 100, report)
        return json.loads(self.table.file.read_text(encoding="utf-8"))["balls"]["rows"]


def test_rows_are_compared_with_the_base_row_patient_by_patient(ablations: ModuleType, tmp_path: Path) -> None:
    base, better, same = Bench(ablations, tmp_path).run()

    assert [base["row"], better["row"], same["row"]] == ["base", "better", "the same"]
    assert "difference" not in base
    assert base["figures"]["score"]["low"] < base["figures"]["score"]["value"] < base["figures"]["score"]["high"]
    assert better["difference"]["score"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert same["difference"]["score"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert better["change"] == {"loop": {"epochs": 2}}


def test_an_interrupted_benchmark_goes_on_and_trains_nothing_twice(ablations: ModuleType, tmp_path: Path) -> None:
    first = Bench(ablations, tmp_path)

    def stop_after_better(line: str) -> None:
        if line.startswith("better"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.run(report=stop_after_better)
    second = Bench(ablations, tmp_path)
    rows = second.run()

    assert first.trained == ["base", "better"]
    assert second.trained == ["the_same"]
    assert rows == Bench(ablations, tmp_path / "whole").run()


def test_a_changed_row_is_made_again_and_the_others_are_kept(ablations: ModuleType, tmp_path: Path) -> None:
    Bench(ablations, tmp_path).run()
    third = Bench(ablations, tmp_path)
    (tmp_path / "runs" / "5" / "better").rename(tmp_path / "elsewhere")

    rows = third.run({"better": {"loop": {"epochs": 3}}})

    assert third.trained == ["better"]
    assert {row["row"]: row.get("difference", {}).get("score", {}).get("value") for row in rows} == {
        "base": None,
        "the same": 0.0,
        "better": 2.0,
    }


def test_rows_of_other_settings_are_not_mixed_with_these(ablations: ModuleType, tmp_path: Path) -> None:
    Bench(ablations, tmp_path).run()
    other = Bench(ablations, tmp_path, {**RECIPE, "seed": 6})

    rows = other.run({"better": ROWS["better"]})

    assert [row["row"] for row in rows] == ["base", "better"]
    assert other.trained == ["base", "better"]


def test_runs_of_other_settings_are_not_taken_for_these(ablations: ModuleType, tmp_path: Path) -> None:
    Bench(ablations, tmp_path).run()
    other = Bench(ablations, tmp_path, {**RECIPE, "augmentation": {"zoom": 0.1}})

    with pytest.raises(UsageError, match="other settings"):
        other.run()


def test_the_other_bundles_rows_stay(ablations: ModuleType, tmp_path: Path) -> None:
    bench = Bench(ablations, tmp_path)
    bench.table.file.write_text(json.dumps({"cubes": {"rows": [1]}}), encoding="utf-8")

    bench.run()

    assert json.loads(bench.table.file.read_text(encoding="utf-8"))["cubes"] == {"rows": [1]}


def test_a_row_that_the_recipe_has_no_switch_for_is_left_out_and_said(ablations: ModuleType, tmp_path: Path) -> None:
    said: list[str] = []

    rows = Bench(ablations, tmp_path).run({"without colour": {"colour": False}}, said.append)

    assert [row["row"] for row in rows] == ["base"]
    assert any("without colour: left out" in line for line in said)


def test_a_pretraining_that_training_ignored_is_no_row(ablations: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="took no notice"):
        Bench(ablations, tmp_path).run({"with pretraining": {"pretraining": {}}})
