"""The risk models on 999 real nodules of known outcome: ``python Testing/Benchmarks/clinical_risk.py -o FILE.json``.

The table (``../shared/data/tables/uk-nodules-999.csv``, or the file given) lacks inputs that the models ask for.
Nothing is imputed: a model is judged as the product shows it. Where every input is stated there is a probability; where
the missing ones have few answers there is a range, whose lower and upper ends are judged each by itself (the model's
answer lies between); where a number is missing the nodule is refused and only counted.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from LungNoduleCADLib.domain.risk import RiskEstimate  # noqa: E402
from LungNoduleCADLib.evaluation.bootstrap import bootstrap, number  # noqa: E402
from LungNoduleCADLib.evaluation.calibration import (  # noqa: E402
    brier,
    calibration_error_by_chance,
    expected_calibration_error,
    fit_platt,
)
from LungNoduleCADLib.evaluation.discrimination import auc  # noqa: E402
from LungNoduleCADLib.guidelines.risk import RiskFacts, estimate_risk  # noqa: E402
from LungNoduleCADLib.guidelines.risk_models import BROCK_2B, MODELS, RiskModel, Smoking  # noqa: E402

TABLE = ROOT.parent / "shared" / "data" / "tables" / "uk-nodules-999.csv"
SMOKING = {"never": Smoking.NEVER, "exsmoke": Smoking.FORMER, "current": Smoking.CURRENT}
UPPER = {"Right Upper Lobe", "Left Upper Lobe", "Lingular Segment"}
HANDLING = {
    "lacking": "family history, emphysema, nodule type, earlier cancer, years since quitting, PET uptake; smoking of "
    "the 304 nodules with 'unknown' or 'NR'",
    "ends": "a range's lower end has every missing risk factor absent, its upper end every one present; where the same "
    "inputs are missing both ends rank nodules alike: their AUC is that of the inputs that are there",
    "brock": "lacks three inputs, each with few answers: a range for every nodule, never a probability",
    "mayo": "lacks earlier cancer, and smoking where it is unknown: a range for every nodule",
    "va": "whole for never and current smokers; others are refused (years since quitting, smoking)",
    "herder": "refused for every nodule: no PET",
    "population": "nodules of routine CT, 22 % malignant; Brock was made in screening, Mayo and VA on chest "
    "radiographs: calibration judges that difference too",
    "scope": "earlier cancer is not in the table, so nodules of patients with a known cancer could not be taken out",
    "nodule_count": "num.annotated + 1: what the column counts is not documented, 0 stands beside 845 of the nodules",
    "upper_lobe": "right or left upper lobe, lingula included",
    "patients": "the table names no patients: nodules are resampled; intervals are too narrow where a patient has two",
}


def read_table(path: Path) -> tuple[list[RiskFacts], np.ndarray, list[str]]:
    """Facts of each nodule, whether it was malignant, and its place."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    facts = [
        RiskFacts(
            age_years=float(row["age"]),
            sex=row["sex"],
            smoking_status=SMOKING.get(row["smoke.status"]),
            diameter_mm=float(row["diameter"]),
            upper_lobe=row["location"] in UPPER,
            spiculated={"Yes": True, "No": False}[row["spiculate"]],
            nodule_count=int(float(row["num.annotated"])) + 1,
        )
        for row in rows
    ]
    return facts, np.array([float(row["malignant"]) for row in rows]), [row["location"] for row in rows]


def calibration_in_the_large(positive: np.ndarray, probability: np.ndarray) -> float:
    """What must be added to the logit for the mean to be right; above 0: the model says too little."""
    given = logit(probability)
    return float(brentq(lambda shift: expit(given + shift).mean() - positive.mean(), -15, 15))


def calibration_slope(positive: np.ndarray, probability: np.ndarray) -> float:
    """Slope of the outcome on the logit; below 1: the model's high figures are too high, its low ones too low."""
    return fit_platt(positive, logit(probability))["slope"]


Metric = Callable[[np.ndarray, np.ndarray], float]
METRICS: dict[str, Metric] = {
    "auc": auc,
    "brier": brier,
    "calibration_slope": calibration_slope,
    "calibration_in_the_large": calibration_in_the_large,
    "ece": expected_calibration_error,
}


def judged(positive: np.ndarray, probability: np.ndarray, draws: int) -> dict[str, Any]:
    """Every metric with its 95 % interval, and the means that calibration compares."""
    means = {"mean_probability": number(probability.mean()), "observed": number(positive.mean())}
    figures = {name: _estimated(metric, positive, probability, draws) for name, metric in METRICS.items()}
    return means | figures | {"ece_by_chance": number(calibration_error_by_chance(probability, draws=draws))}


def _estimated(metric: Metric, positive: np.ndarray, score: np.ndarray, draws: int) -> dict[str, float | None]:
    estimate = bootstrap(metric, [str(n) for n in range(len(positive))], positive, score, draws=draws)
    return {"value": number(estimate.value), "low": number(estimate.low), "high": number(estimate.high)}


def of_model(model: RiskModel, facts: Sequence[RiskFacts], malignant: np.ndarray, draws: int) -> dict[str, Any]:
    """What the model says of the table, and how good it is."""
    said = [estimate_risk(model, one) for one in facts]
    result: dict[str, Any] = {
        "probability": sum(one.probability is not None for one in said),
        "range": sum(one.probability_range is not None for one in said),
        "refused": _refused(said),
    }
    whole = np.array([one.probability is not None for one in said])
    if whole.any():
        values = np.array([one.probability for one in said if one.probability is not None])
        result["figures"] = judged(malignant[whole], values, draws)
    result["ranges"] = []
    for missing in sorted({one.missing_inputs for one in said if one.probability_range}):
        rows = [n for n, one in enumerate(said) if one.probability_range and one.missing_inputs == missing]
        low, high = np.array([said[n].probability_range for n in rows]).T
        judgments = {
            "lower_end": judged(malignant[rows], low, draws),
            "upper_end": judged(malignant[rows], high, draws),
        }
        result["ranges"].append({"missing": list(missing), "nodules": len(rows), **judgments})
    return result


def _refused(said: Sequence[RiskEstimate]) -> dict[str, int]:
    reasons = [one.not_available or "" for one in said if one.probability is None and not one.probability_range]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


def variations(facts: Sequence[RiskFacts], malignant: np.ndarray, places: list[str], draws: int) -> dict[str, Any]:
    """AUC of the lower end of Brock 2b under other readings of the table, and of the diameter alone."""

    def area(other: Sequence[RiskFacts]) -> dict[str, float | None]:
        ranges = [estimate_risk(BROCK_2B, one).probability_range or (np.nan, np.nan) for one in other]
        return _estimated(auc, malignant, np.array([low for low, _ in ranges]), draws)

    lingula = [
        replace(one, upper_lobe=bool(one.upper_lobe) and place != "Lingular Segment")
        for one, place in zip(facts, places, strict=True)
    ]
    return {
        "brock_2b_each_nodule_taken_as_the_only_one": area([replace(one, nodule_count=1) for one in facts]),
        "brock_2b_lingula_not_taken_as_upper_lobe": area(lingula),
        "diameter_alone": _estimated(auc, malignant, np.array([one.diameter_mm for one in facts]), draws),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, nargs="?", default=TABLE)
    parser.add_argument("-o", "--json", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=1000)
    arguments = parser.parse_args()
    facts, malignant, places = read_table(arguments.table)
    result = {
        "data": "999 nodules of 5-15 mm in routine CT, three UK hospitals, with outcome (R package R4HCR, MIT)",
        "table_sha256": hashlib.sha256(arguments.table.read_bytes()).hexdigest(),
        "split": "none: nothing was fitted, every nodule is a test case",
        "nodules": len(facts),
        "malignant": int(malignant.sum()),
        "interval": f"95 %, {arguments.draws} bootstrap draws of nodules",
        "handling": HANDLING,
        "models": {model.name: of_model(model, facts, malignant, arguments.draws) for model in MODELS},
        "other_readings_auc": variations(facts, malignant, places, arguments.draws),
    }
    arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{arguments.json}: {len(facts)} nodules, {len(MODELS)} models")


if __name__ == "__main__":
    main()
