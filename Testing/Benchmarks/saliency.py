"""Whether the heat maps show what the malignancy score rests on.

``python Testing/Benchmarks/saliency.py DATA [--scans FOLDER] [--fold 4] [-o FILE]``: DATA is what ``train`` takes; the
fold is the recipe's test fold where none is given. Nodules of at least three readers, set into lung; networks that were
trained on that fold do not answer. ``--compare`` measures other ways to make the maps too (all, or those of the given
techniques), for a choice among them on a validation fold; without it the comparison that is in FILE already stays, with
its fold and the digest of its weights.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from LungNoduleCADLib.bundles.registry import find_bundle  # noqa: E402
from LungNoduleCADLib.classification.gradcam import CHOSEN, HeatMethod, Technique  # noqa: E402
from LungNoduleCADLib.training.data import open_training_data  # noqa: E402
from LungNoduleCADLib.training.evaluate import _examination as examine  # noqa: E402
from LungNoduleCADLib.training.saliency_benchmark import saliency_figures  # noqa: E402

LAYERS = ("layer1", "layer2", "layer3")
COMPARED = [
    *(HeatMethod(technique, layers) for technique in Technique for layers in (LAYERS, LAYERS[1:], LAYERS[2:])),
    HeatMethod(CHOSEN.technique, CHOSEN.layers, mirrored=False),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--scans", type=Path)
    parser.add_argument("--fold", type=int)
    parser.add_argument("--most", type=int, default=25, help="nodules with a map to measure")
    parser.add_argument("--compare", nargs="*", choices=[str(technique) for technique in Technique])
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    bundle = find_bundle("nodule_ct_attributes")
    data = open_training_data(arguments.data, arguments.scans)
    examination = examine(bundle, data, arguments.fold, "cpu", lambda line: print(line, flush=True), None)
    others = (
        [] if arguments.compare is None else [m for m in COMPARED if m.technique in (arguments.compare or Technique)]
    )
    figures = saliency_figures(examination, arguments.most, others)
    compared = figures.pop("compared")
    before = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
    weights = {"version": bundle.metadata["version"], "weights_sha256": bundle.weight_files}
    setting = {
        "data": bundle.train["data"],
        "fold": examination.fold,
        "split_sha256": data.split_sha256(),
        "interval": "95 %, 1000 bootstrap draws of patients",
    }
    document = {
        "bundle": bundle.name,
        **weights,
        **setting,
        "date": date.today().isoformat(),
        **figures,
        "compared": {**weights, **setting, "methods": compared} if compared else before.get("compared"),
    }
    arguments.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    for name, check in figures["checks"].items():
        verdict = {True: "pass", False: "FAIL", None: ""}[check.get("pass")]
        print(f"{name:68} {check['value']:8.3f} ({check['low']:.3f} to {check['high']:.3f}) {verdict}")


if __name__ == "__main__":
    main()
