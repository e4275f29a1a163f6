"""Write the figures of every card and of the README from the bundles' evaluation.json; ``--check`` only compares.

Those of ``Resources/cohorts.md``, with their pictures, are from the benchmarks' JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

sys.path.insert(0, str(ROOT / "Testing"))

from cohort_figures import cohort_figures, draw_pictures  # noqa: E402

from LungNoduleCADLib.bundles.spec import Bundle  # noqa: E402
from LungNoduleCADLib.training.card import card_is_current, update_card  # noqa: E402

BEGIN, END = "<!-- figures: written by Testing/update_figures.py -->", "<!-- end of figures -->"
SHOWN = {
    "lung_ct_segmentation": {
        "Dice, manual lungs": ("manual lungs", "Dice", "used"),
        "dense lung found, simulated disease": ("simulated disease", "share of dense lung found", "used"),
        "... by the classical method alone": ("simulated disease", "share of dense lung found", "classical"),
    },
    "nodule_ct_detection": {
        "proposed, set into lung": ("set_into_lung", "all", "network and classical"),
        "proposed in whole scans never seen": ("whole_scans", "proposed", "network and classical"),
    },
    "nodule_ct_segmentation": {
        "Dice from one point": ("all", "dice"),
        "volume against the readers' (ratio)": ("all", "volume_ratio_geometric_mean"),
        "Dice in whole scans never seen": ("whole_scans", "dice"),
    },
    "nodule_ct_attributes": {
        "AUC, malignancy (median rating > 3)": ("malignancy_auc_median_above_3",),
        "mean absolute error of the rating": ("rating_mae",),
    },
    "nodule_fusion": {
        "AUC, malignancy (median rating > 3)": ("fusion", "malignancy_auc_median_above_3"),
        "AUC, malignancy (mean rating ≥ 3, indeterminate ones too)": ("fusion", "malignancy_auc_mean_from_3"),
        "Brier score": ("fusion", "malignancy_brier"),
        "calibration error (ECE)": ("fusion", "malignancy_ece"),
        "AUC, solid against subsolid": ("type", "subsolid_auc"),
        "balanced accuracy, type": ("type", "balanced_accuracy"),
    },
}


def bundles() -> list[Bundle]:
    """Bundles that were evaluated."""
    return [Bundle(file.parents[1]) for file in sorted((ROOT / "models").glob("*/docs/evaluation.json"))]


def readme_table() -> str:
    """The README's table of models: figures with interval, cases and patients."""
    rows = ["| model | figure | test data, 95 % interval | cases (patients) |", "|---|---|---|---|"]
    for bundle in bundles():
        figures = json.loads((bundle.path / "docs/evaluation.json").read_text(encoding="utf-8"))["figures"]
        for label, keys in SHOWN[bundle.name].items():
            figure = figures
            for key in keys:
                figure = figure[key]
            interval = f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
            rows.append(
                f"| [{bundle.name}](models/{bundle.name}/docs/README.md) | {label} | {interval} "
                f"| {figure['cases']} ({figure['patients']}) |"
            )
    return "\n".join(rows)


def main(arguments: list[str]) -> int:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    cohorts = ROOT / "Resources" / "cohorts.md"
    measured = cohort_figures(ROOT / "Testing" / "Benchmarks")
    if "--check" in arguments:
        stale = [bundle.name for bundle in bundles() if not card_is_current(bundle.path)]
        stale += [] if readme_table() in text else ["README.md"]
        stale += [] if measured in cohorts.read_text(encoding="utf-8") else ["Resources/cohorts.md"]
        if stale:
            print(f"figures are not those of evaluation.json in: {', '.join(stale)}; run Testing/update_figures.py")
        return 1 if stale else 0
    for bundle in bundles():
        update_card(bundle)
    draw_pictures(ROOT / "Testing" / "Benchmarks")
    for file, figures in ((readme, readme_table()), (cohorts, measured)):
        before, rest = file.read_text(encoding="utf-8").split(BEGIN)
        file.write_text(f"{before}{BEGIN}\n{figures}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
