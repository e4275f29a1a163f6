from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import expit

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.evaluation.discrimination import auc
from LungNoduleCADLib.evaluation.froc import LUNA16_RATES, ScanDetections, froc
from LungNoduleCADLib.training.curves import Scored, draw_froc, draw_reliability, draw_roc, draw_training_log

DRAWS = 30


def scored(spread: float = 2.0, seed: int = 0, count: int = 90) -> Scored:
    """Probabilities that are exactly right; three cases a patient."""
    rng = np.random.default_rng(seed)
    probability = expit(rng.normal(0, spread, count))
    return Scored(rng.random(count) < probability, probability, [f"p{n // 3}" for n in range(count)])


def scan(points: list, scores: list[float], targets: list) -> ScanDetections:
    return ScanDetections(
        np.reshape(np.array(points, float), (-1, 3)),
        np.array(scores),
        np.reshape(np.array(targets, float), (-1, 4)),
        np.empty((0, 4)),
    )


def three_scans() -> list[ScanDetections]:
    return [
        scan([(0, 0, 0), (50, 0, 0)], [0.9, 0.3], [(0, 0, 0, 6)]),
        scan([(0, 0, 0), (50, 0, 0)], [0.4, 0.8], [(0, 0, 0, 6)]),
        scan([], [], []),
    ]


def written(target: Path) -> tuple[tuple[int, int], dict]:
    """Size of the picture, which must not be blank, and the JSON beside it."""
    with Image.open(target.with_suffix(".png")) as image:
        colors = image.convert("RGB").getcolors(1 << 24)
        size = image.size
    assert len(colors) > 20
    return size, json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))


def test_a_roc_picture_has_its_points_and_areas_beside_it(tmp_path: Path) -> None:
    one, other = scored(), scored(seed=1)

    returned = draw_roc(tmp_path / "deep" / "roc", "Malignancy", {"encoder": one, "diameter": other}, draws=DRAWS)

    size, said = written(tmp_path / "deep" / "roc")
    assert said == returned
    assert min(size) >= 600
    assert said["title"] == "Malignancy"
    assert list(said["curves"]) == ["encoder", "diameter"]
    curve = said["curves"]["encoder"]
    assert curve["auc"]["value"] == pytest.approx(auc(one.positive, one.score), abs=1e-4)
    assert curve["auc"]["low"] < curve["auc"]["value"] < curve["auc"]["high"]
    assert (curve["auc"]["cases"], curve["auc"]["patients"]) == (90, 30)
    assert curve["positives"] == one.positive.sum()
    rates, sensitivity = (np.array([point[n] for point in curve["points"]]) for n in (0, 1))
    assert np.trapezoid(sensitivity, rates) == pytest.approx(curve["auc"]["value"], abs=1e-3)
    assert curve["points"][0] == [0.0, 0.0, None]


def test_a_froc_picture_has_the_challenges_rates_beside_it(tmp_path: Path) -> None:
    said = draw_froc(tmp_path / "froc", "Detection", {"list": three_scans()}, draws=DRAWS)["curves"]["list"]

    curve = froc(three_scans())
    assert list(said["at_rates"]) == ["0.125", "0.25", "0.5", "1", "2", "4", "8"]
    read_off = [rate["value"] for rate in said["at_rates"].values()]
    assert read_off == pytest.approx(curve.interpolated(LUNA16_RATES), abs=1e-4)
    assert said["competition_metric"]["value"] == pytest.approx(curve.competition_metric(), abs=1e-4)
    assert (said["scans"], said["competition_metric"]["cases"], said["competition_metric"]["patients"]) == (3, 2, 3)
    assert said["points"][0] == [0.0, 0.5, 0.9]
    assert written(tmp_path / "froc")[1]["curves"]["list"] == said


def test_a_reliability_picture_has_its_table_beside_it(tmp_path: Path) -> None:
    drawn = draw_reliability(tmp_path / "reliability", "Malignancy", {"encoder": scored()}, bins=5, draws=DRAWS)

    said = drawn["curves"]["encoder"]
    assert sum(row["cases"] for row in said["bins"]) == 90
    assert len(said["bins"]) == 5
    assert all(row["low"] <= row["observed"] <= row["high"] for row in said["bins"])
    assert 0 < said["calibration_error"]["value"] < 0.3
    assert said["calibration_error_by_chance"] == pytest.approx(0.12, abs=0.03)  # six cases a bin
    assert 0 < said["brier"]["value"] < 0.25
    written(tmp_path / "reliability")


def test_the_same_scores_give_the_same_files(tmp_path: Path) -> None:
    for name in ("once", "again"):
        draw_roc(tmp_path / name, "Malignancy", {"encoder": scored()}, draws=DRAWS)

    for suffix in (".png", ".json"):
        assert (tmp_path / f"once{suffix}").read_bytes() == (tmp_path / f"again{suffix}").read_bytes()


def test_one_class_only_draws_no_roc(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two classes"):
        draw_roc(tmp_path / "roc", "?", {"encoder": Scored(np.ones(3, bool), np.arange(3.0), list("abc"))})


def test_more_curves_than_can_be_told_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="6 at most"):
        draw_roc(tmp_path / "roc", "?", {str(n): scored() for n in range(7)}, draws=1)


def log(folder: Path, text: str) -> Path:
    (folder / "log.csv").write_text(text, encoding="utf-8")
    return folder / "log.csv"


def test_a_training_log_is_drawn_beside_itself_and_names_the_best_epoch(tmp_path: Path) -> None:
    file = log(
        tmp_path, "loss_total,dice,score,epoch,seconds\n2.0,0.5,0.5,0,10\n1.0,0.7,0.7,1,11\n0.9,0.6,0.6,2,12.5\n"
    )

    said = draw_training_log(file)

    assert (said["best_epoch"], said["epochs"], said["seconds"]) == (1, 3, 33.5)
    assert said["best"]["dice"] == 0.7
    assert written(tmp_path / "log")[1] == said


@pytest.mark.parametrize(
    "text", ["", "epoch,score\n", "epoch,loss_total\n0,1\n", "epoch,score\n0,good\n", "epoch,score\n0\n"]
)
def test_what_is_no_log_is_said_in_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="log"):
        draw_training_log(log(tmp_path, text))
    assert not (tmp_path / "log.png").exists()
