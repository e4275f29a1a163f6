from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import ndimage

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import sha256_of
from LungNoduleCADLib.classification.encoder import Answers
from LungNoduleCADLib.classification.familiarity import FILE, Familiarity, Space, appearance, doubts
from LungNoduleCADLib.domain.quality import MODEL_DOUBTS, model_doubts
from LungNoduleCADLib.errors import ModelError

GRAIN, ALONG_Z = slice(7, 9), slice(9, 12)
LOOKS = appearance(np.zeros((8, 8, 8))).size


def lung(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-800, 20, (24, 24, 24)).astype(np.float32)


def space(vectors: int, limit: float) -> Space:
    """Known is what is near zero; ``limit`` away is where the familiar ends."""
    return Space(np.zeros(vectors), np.eye(vectors) / limit)


def seen(features: list[float]) -> Answers:
    return Answers({}, np.array([features], np.float32))


def fitted_bundle(folder: Path, members: dict[int, float]) -> Bundle:
    """A bundle of members (fold never seen: limit of its features), whose appearance is always familiar."""
    tensors = {}
    for fold, limit in members.items():
        for kind, known in (("features", space(2, limit)), ("appearance", space(LOOKS, 1e9))):
            tensors[f"held_out_{fold}.{kind}.mean"] = torch.tensor(known.mean, dtype=torch.float32)
            tensors[f"held_out_{fold}.{kind}.whitening"] = torch.tensor(known.whitening, dtype=torch.float32)
    (folder / "configs").mkdir()
    (folder / "models").mkdir()
    save_file(tensors, folder / FILE)
    files = [{"held_out_fold": fold, "file": f"models/held_out_{fold}.safetensors"} for fold in members]
    for name, content in {
        "metadata": {"weights_sha256": {FILE: sha256_of(folder / FILE)}},
        "inference": {"members": files},
        "train": {"folds": {"cross_fitted": [0, 1, 2, 3]}},
    }.items():
        (folder / f"configs/{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return Bundle(folder)


def test_noise_is_seen_as_grain_and_a_shift_as_density() -> None:
    plain, noisy = appearance(lung()), appearance(lung() + np.random.default_rng(9).normal(0, 100, (24,) * 3))
    assert (noisy[GRAIN] > plain[GRAIN] + 1).all()
    assert appearance(lung() + 300)[:7] == pytest.approx(plain[:7] + 300)


def test_thick_slices_are_smoother_along_z_alone() -> None:
    plain, thick = appearance(lung()), appearance(ndimage.uniform_filter1d(lung(), 6, axis=0))
    assert (thick[ALONG_Z] < plain[ALONG_Z] - 0.5).all()


def test_distance_is_one_at_the_limit() -> None:
    assert space(2, 5.0).distance(np.array([[3.0, 4.0], [0.0, 2.5]])) == pytest.approx([1.0, 0.5])


def test_networks_are_averaged_and_the_larger_kind_of_distance_counts() -> None:
    members = [{"features": space(2, limit), "appearance": space(LOOKS, 1e9)} for limit in (1.0, 2.0)]
    answers = [seen([3.0, 0.0]), seen([3.0, 0.0])]
    assert Familiarity(members).unfamiliarity([lung()], answers) == pytest.approx([(3.0 + 1.5) / 2])

    strange = [{**spaces, "appearance": space(LOOKS, 1e-3)} for spaces in members]
    assert Familiarity(strange).unfamiliarity([lung()], answers)[0] > 100


def test_a_bundle_without_the_file_assesses_nothing(tmp_path: Path) -> None:
    bundle = fitted_bundle(tmp_path, {0: 1.0})
    (tmp_path / "configs/metadata.json").write_text(json.dumps({"weights_sha256": {}}), encoding="utf-8")
    assert Familiarity.from_bundle(Bundle(bundle.path)) is None


def test_the_spaces_are_those_of_the_networks_that_are_asked(tmp_path: Path) -> None:
    bundle = fitted_bundle(tmp_path, {0: 1.0, 2: 10.0})
    both, only = Familiarity.from_bundle(bundle), Familiarity.from_bundle(bundle, unseen_fold=2)
    answer = seen([10.0, 0.0])
    assert both.unfamiliarity([lung()], [answer, answer]) == pytest.approx([5.5])
    assert only.unfamiliarity([lung()], [answer]) == pytest.approx([1.0])


def test_a_changed_file_is_not_believed(tmp_path: Path) -> None:
    bundle = fitted_bundle(tmp_path, {0: 1.0})
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes() + b" ")
    with pytest.raises(ModelError, match="damaged or were changed"):
        Familiarity.from_bundle(bundle)


@pytest.mark.parametrize(
    ("unfamiliarity", "by_network", "probability", "codes"),
    [
        (None, [0.2, 0.3], None, []),
        (1.0, [0.2], 0.5, []),
        (1.01, [0.2, 0.3], 0.9, ["unfamiliar"]),
        (0.9, [0.2, 0.3], 0.49, ["not_a_nodule"]),
        (0.5, [0.2, 0.75, 0.5], None, ["networks_disagree"]),
        (3.0, [0.9, 0.1], 0.01, ["unfamiliar", "not_a_nodule", "networks_disagree"]),
    ],
)
def test_the_reader_is_told_what_speaks_against_an_answer(
    unfamiliarity: float | None, by_network: list[float], probability: float | None, codes: list[str]
) -> None:
    flags = doubts(unfamiliarity, by_network, probability)
    assert [flag.code for flag in flags] == codes
    assert model_doubts(flags) == flags
    assert set(codes) <= set(MODEL_DOUBTS)


def test_how_far_the_networks_disagree_is_said_in_numbers() -> None:
    (flag,) = doubts(None, [0.31, 0.78, 0.5])
    assert "31% to 78%" in flag.message
