"""Features made by hand: what tells histologies apart in them is known, and so is what tells scanners apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import load_members
from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.study import SeriesDescription, SeriesRef
from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training import train_histology as recipe
from LungNoduleCADLib.training.evaluate_histology import auc_within, evaluate_histology
from LungNoduleCADLib.training.export import finish_bundle, save_network
from LungNoduleCADLib.training.histology import Histology, HistologyCase, ScannerSettings
from LungNoduleCADLib.training.histology_heads import (
    Observation,
    ensemble_logits,
    fit_head,
    left_out_logits,
    observe,
    patient_folds,
    too_few,
    truth_of,
)

SERIES = SeriesRef(SeriesDescription("1.2.3"), (), "CT", 1, (1.0, 1.0, 1.0))
WIDTH = 8
SMALL = "small-cell against adenocarcinoma or squamous or large-cell"
SUBTYPE = "adenocarcinoma against squamous or large-cell"


def case(patient: str, histology: Histology, maker: str = "GE", site: str | None = None) -> HistologyCase:
    settings = ScannerSettings(maker, "", "", 2.5, 120.0, None, "")
    return HistologyCase(patient, "made", site or f"made: {maker}", settings, histology, SERIES, (0.0, 0.0, 0.0), 20.0)


def observations(
    histologies: list[Histology],
    makers: list[str],
    *,
    from_histology: float = 0.0,
    from_maker: float = 0.0,
    networks: int = 2,
) -> list[Observation]:
    """One patient each; the first features move with the histology, the next with the maker, all are noisy."""
    rng = np.random.default_rng(1)
    kinds, names = list(Histology), sorted(set(makers))
    made = []
    for n, (histology, maker) in enumerate(zip(histologies, makers, strict=True)):
        features = rng.normal(size=(networks, WIDTH))
        features[:, kinds.index(histology)] += from_histology
        features[:, 4 + names.index(maker)] += from_maker
        made.append(Observation(case(f"P{n:03}", histology, maker), tuple(features)))
    return made


def evaluated(seen: list[Observation]) -> dict[str, Any]:
    return evaluate_histology(seen, draws=60)


def confounded(count: int = 160) -> tuple[list[Histology], list[str]]:
    """Four of five small-cell patients are from GE, four of five others from Siemens."""
    rng = np.random.default_rng(0)
    small = np.arange(count) % 2 == 0
    other = [Histology.ADENOCARCINOMA, Histology.SQUAMOUS, Histology.LARGE_CELL]
    histologies = [Histology.SMALL_CELL if s else other[n % 3] for n, s in enumerate(small)]
    makers = ["GE" if (rng.random() < 0.8) == s else "SIEMENS" for s in small]
    return histologies, makers


def test_a_network_that_sees_only_the_scanner_is_found_out() -> None:
    report = evaluated(observations(*confounded(), from_maker=4.0))

    figures = report["heads"]["small_cell"]["questions"][SMALL]
    assert figures["auc_network"]["low"] > 0.5
    assert figures["auc_gained_over_settings_or_chance"]["low"] <= 0.0
    assert figures["auc_leaving_a_site_out"]["low"] <= 0.5 <= figures["auc_leaving_a_site_out"]["high"]
    said = " ".join(sentence for sentence in report["sentences"] if sentence.startswith(SMALL))
    assert "does not beat a model that sees only the scanner's settings" in said
    assert "falls to chance on sites that it was not trained on" in said


def test_a_network_that_sees_the_tumour_is_believed() -> None:
    report = evaluated(observations(*confounded(), from_histology=3.0))

    figures = report["heads"]["small_cell"]["questions"][SMALL]
    assert figures["auc_network"]["value"] > 0.9
    assert figures["auc_gained_over_settings_or_chance"]["low"] > 0.0
    assert figures["auc_leaving_a_site_out"]["low"] > 0.8
    said = " ".join(sentence for sentence in report["sentences"] if sentence.startswith(SMALL))
    assert "better than the scanner's settings alone do" in said
    assert "keeps an AUC of" in said


def test_each_subtype_is_asked_against_the_others_among_nsclc_only() -> None:
    histologies, makers = confounded()

    subtype = evaluated(observations(histologies, makers, from_histology=3.0))["heads"]["nsclc_subtype"]

    assert len(subtype["questions"]) == 3
    assert "small-cell" not in subtype["patients"]
    assert subtype["questions"][SUBTYPE]["auc_network"]["cases"] == sum(subtype["patients"].values())
    assert all(question["auc_network"]["value"] > 0.9 for question in subtype["questions"].values())


def test_with_one_site_the_words_say_that_nothing_is_known_of_others() -> None:
    histologies, _ = confounded(60)

    report = evaluated(observations(histologies, ["GE"] * 60, from_histology=3.0))

    figures = report["heads"]["small_cell"]["questions"][SMALL]
    assert figures["auc_leaving_a_site_out"] is None
    assert figures["leaving_a_site_out_not_available"] == "all patients are of one site"
    assert any("nothing is known of sites" in sentence for sentence in report["sentences"])


def test_a_histology_of_a_single_site_cannot_be_checked_on_another() -> None:
    histologies, _ = confounded(60)
    makers = ["GE" if histology is Histology.SMALL_CELL else "SIEMENS" for histology in histologies]

    report = evaluated(observations(histologies, makers, from_histology=3.0))

    figures = report["heads"]["small_cell"]["questions"][SMALL]
    assert figures["auc_leaving_a_site_out"] is None
    assert figures["leaving_a_site_out_not_available"].startswith("no site has patients of both kinds")
    assert any("does not beat" in sentence for sentence in report["sentences"] if sentence.startswith(SMALL))


def test_a_head_with_too_few_patients_is_not_measured_and_the_class_is_named() -> None:
    histologies = [Histology.ADENOCARCINOMA] * 20 + [Histology.SQUAMOUS] * 20 + [Histology.LARGE_CELL] * 4

    report = evaluated(observations(histologies, ["GE", "SIEMENS"] * 22))

    reasons = {head: answer["not_available"] for head, answer in report["heads"].items()}
    assert reasons["nsclc_subtype"] == "large-cell: 4 patients, at least 5 are needed"
    assert reasons["small_cell"].startswith("small-cell: 0 patients")


def test_figures_are_json() -> None:
    report = evaluated(observations(*confounded(60)))

    assert json.loads(json.dumps(report, allow_nan=False)) == report


@pytest.mark.parametrize(
    ("score", "wanted"),
    [
        ([0.1, 0.2, 0.8, 0.9], 1.0),
        ([0.2, 0.1, 0.9, 0.8], 0.0),
        ([0.1, 0.2, 0.9, 0.8], 0.5),
        ([0.3, 0.3, 0.7, 0.7], 0.5),
    ],
)
def test_only_pairs_inside_a_group_are_counted(score: list[float], wanted: float) -> None:
    positive = np.array([False, True, False, True])
    site = np.array(["a", "a", "b", "b"])

    assert auc_within(positive, np.array(score), site) == wanted


def test_groups_with_more_pairs_count_more_and_unanswered_rows_not_at_all() -> None:
    positive = np.array([True, False, False, False, True, False, False])
    site = np.array(["a", "a", "a", "a", "b", "b", "b"])
    score = np.array([0.9, 0.1, 0.1, 0.1, 0.1, 0.9, np.nan])

    assert auc_within(positive, score, site) == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match="a group with both kinds"):
        auc_within(positive, np.full(7, np.nan), site)


def test_a_patient_is_in_one_fold() -> None:
    histologies, makers = confounded(60)
    two_each = [
        replace(one, case=replace(one.case, patient=f"P{n // 4:02}"))
        for n, one in enumerate(observations(histologies, makers))
    ]
    truth = truth_of("small_cell", [one.case for one in two_each])

    folds = patient_folds(two_each, truth)

    assert sorted(set(folds)) == [0, 1, 2, 3, 4]
    for patient in {one.case.patient for one in two_each}:
        assert len({fold for fold, one in zip(folds, two_each, strict=True) if one.case.patient == patient}) == 1


def test_a_baseline_worse_than_chance_is_no_baseline_to_beat() -> None:
    """Noise scores about one half; settings that mislead score less, and must not make noise look good."""
    histologies, makers = confounded()

    report = evaluated(observations(histologies, makers))

    for answer in report["heads"].values():
        for question in answer["questions"].values():
            assert question["auc_gained_over_settings_or_chance"]["low"] <= 0.0


@pytest.mark.parametrize(("head", "outputs"), [("small_cell", 1), ("nsclc_subtype", 3)])
def test_the_linear_layer_answers_as_the_regression_does(head: str, outputs: int) -> None:
    seen = observations(*confounded(), from_histology=3.0)
    truth = truth_of(head, [one.case for one in seen])
    asked = [one for one, t in zip(seen, truth, strict=True) if t >= 0]
    fitted = fit_head(asked, truth[truth >= 0])
    layer = nn.Linear(WIDTH, outputs)

    fitted[0].put_into(layer)

    features = np.stack([one.features[0] for one in asked])
    with torch.no_grad():
        answer = layer(torch.from_numpy(features).float()).numpy()
    assert len(fitted) == 2
    assert answer == pytest.approx(fitted[0].logits(features), abs=1e-4)
    chosen = answer[:, 0] > 0 if outputs == 1 else answer.argmax(axis=1)
    assert (chosen == truth[truth >= 0]).mean() > 0.85


def test_the_ensembles_logit_is_the_mean_of_its_networks() -> None:
    seen = observations(*confounded(), from_histology=2.0)
    heads = fit_head(seen, truth_of("small_cell", [one.case for one in seen]))

    each = [head.logits(np.stack([one.features[n] for one in seen])) for n, head in enumerate(heads)]

    assert ensemble_logits(heads, seen) == pytest.approx((each[0] + each[1]) / 2)


def test_answers_out_of_fold_do_not_know_noise_by_heart() -> None:
    histologies, makers = confounded(60)
    rng = np.random.default_rng(3)
    noise = [
        Observation(case(f"P{n}", histology, maker), (rng.normal(size=400),))
        for n, (histology, maker) in enumerate(zip(histologies, makers, strict=True))
    ]
    truth = truth_of("small_cell", [one.case for one in noise])

    inside = ensemble_logits(fit_head(noise, truth), noise)[:, 0]
    outside = left_out_logits(noise, truth, patient_folds(noise, truth))[:, 0]

    assert ((inside > 0) == truth).mean() > 0.95
    assert ((outside > 0) == truth).mean() < 0.7


def test_too_few_counts_patients_not_scans() -> None:
    rows = [Observation(case("same", Histology.SMALL_CELL), (np.zeros(2),))] * 9
    rows += [Observation(case(f"P{n}", Histology.SQUAMOUS), (np.zeros(2),)) for n in range(9)]

    assert too_few("small_cell", rows) == "small-cell: 1 patients, at least 5 are needed"


ARGUMENTS = {"widths": [4, 8, 8, 8], "stem_stride": 2, "dropout": 0.0}
FILES = ["models/held_out_0.safetensors", "models/held_out_1.safetensors"]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A tiny ``nodule_ct_attributes`` of two networks, as the installed one."""
    folder = tmp_path / "models/nodule_ct_attributes"
    (folder / "configs").mkdir(parents=True)
    metadata = {
        "version": "1.0.0",
        "data_license": "CC BY 3.0 (LIDC-IDRI)",
        "heads": {"nodule": "trained", "small_cell": "untrained", "nsclc_subtype": "untrained"},
    }
    (folder / "configs/metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    for seed, file in enumerate(FILES):
        torch.manual_seed(seed)
        save_network(NoduleEncoder(**ARGUMENTS), folder, file)
    inference = {
        "network": "NoduleEncoder",
        "arguments": ARGUMENTS,
        "patch": {"size": 16, "spacing_mm": 1.5},
        "members": [{"held_out_fold": n, "file": file} for n, file in enumerate(FILES)],
        "calibration": {"nodule": {"slope": 1.0, "offset": 0.0}},
    }
    train = {"data": "none", "folds": {"train": [0, 1], "cross_fitted": [0, 1]}, "seed": 1}
    finish_bundle(folder, inference, train, "0" * 64, FILES)
    monkeypatch.setattr(recipe, "find_bundle", lambda _: Bundle(folder))
    return Bundle(folder)


class MadeData:
    """A collection in memory: each tumour is a ball as bright as its histology says."""

    name, licence, notes = "made", "made is for tests only", ()

    def __init__(self, cases: list[HistologyCase]) -> None:
        self.cases = cases


@pytest.fixture
def collection(ball_ct: Callable[..., CtVolume], monkeypatch: pytest.MonkeyPatch) -> MadeData:
    histologies = [Histology.SMALL_CELL, Histology.SQUAMOUS] * 6
    ball = ball_ct(8.0, (2.0, 2.0, 2.0), parts=1)
    rng = np.random.default_rng(0)

    def load(self: HistologyCase) -> CtVolume:
        brighter = 40 if self.histology is Histology.SMALL_CELL else -300
        hu = np.where(ball.hu > -500, brighter, ball.hu) + rng.normal(0, 20, ball.hu.shape)
        return replace(ball, hu=hu.astype(np.int16))

    monkeypatch.setattr(HistologyCase, "load", load)
    data = MadeData([case(f"P{n:02}", h, "GE" if n % 3 else "SIEMENS") for n, h in enumerate(histologies)])
    monkeypatch.setattr(recipe, "open_histology_data", lambda _: data)
    monkeypatch.setattr(recipe, "evaluate_histology", evaluated)
    return data


def test_training_writes_heads_calibration_and_figures_and_says_the_licence_first(
    source: Bundle, collection: MadeData, tmp_path: Path
) -> None:
    said: list[str] = []
    out = tmp_path / "out"

    bundle = recipe.train_histology([tmp_path], out, "cpu", said.append)

    assert said[0] == collection.licence
    assert bundle.metadata["heads"] == {"nodule": "trained", "small_cell": "trained", "nsclc_subtype": "untrained"}
    assert collection.licence in bundle.metadata["data_license"]
    assert set(bundle.inference["calibration"]) == {"nodule", "small_cell"}
    figures = json.loads((out / recipe.EVALUATION).read_text(encoding="utf-8"))
    assert set(said) >= set(figures["sentences"])
    assert figures["licences"] == [collection.licence]
    assert figures["encoder_weights_sha256"] == source.weight_files
    for old, new in zip(load_members(source, "cpu"), load_members(bundle, "cpu"), strict=True):
        changed = {name for name, tensor in old.state_dict().items() if not torch.equal(tensor, new.state_dict()[name])}
        assert changed == {"heads.small_cell.weight", "heads.small_cell.bias"}
    runner = EncoderRunner.from_bundle(bundle, "cpu")
    assert len(observe(collection.cases[:1], runner, said.append)[0].features) == 2


def test_a_scan_that_cannot_be_read_is_named_and_left_out(
    source: Bundle, collection: MadeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = HistologyCase.load

    def load(self: HistologyCase) -> CtVolume:
        if self.patient == "P01":
            raise InputError("0007.dcm is damaged")
        return good(self)

    monkeypatch.setattr(HistologyCase, "load", load)
    said: list[str] = []

    seen = observe(collection.cases[:3], EncoderRunner.from_bundle(source, "cpu"), said.append)

    assert [one.case.patient for one in seen] == ["P00", "P02"]
    assert said == ["P01 left out: 0007.dcm is damaged."]


def test_too_little_data_trains_nothing(source: Bundle, collection: MadeData, tmp_path: Path) -> None:
    collection.cases = collection.cases[:4]

    with pytest.raises(InputError, match="Neither head can be trained"):
        recipe.train_histology([tmp_path], tmp_path / "out", "cpu", lambda _: None)

    assert not (tmp_path / "out").exists()
    assert source.path.is_dir()


def test_the_shipped_bundle_is_not_written_to(source: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(source.path, copy)

    with pytest.raises(UsageError, match="keeps its heads untrained"):
        recipe.train_histology([tmp_path], source.path, "cpu", lambda _: None)

    for file in copy.rglob("*.*"):
        assert file.read_bytes() == (source.path / file.relative_to(copy)).read_bytes()


def test_the_licence_of_nsclc_radiomics_says_that_it_is_not_for_commercial_use() -> None:
    from LungNoduleCADLib.training.nsclc_radiomics import NsclcRadiomics

    assert "no commercial use, nor of weights trained on it" in NsclcRadiomics.licence
