"""Whether known growth of real nodules is measured as it is.

``python Testing/Benchmarks/growth.py DATA --scans FOLDER [--fold 2] [-o FILE]``: DATA is a nodule pack, FOLDER whole
marked scans beside it. Nodules of at least three readers and phantoms, grown by a known factor in real lung under a
known smooth deformation, with noise and slice thickness, outlined by networks that never saw the fold.

``--fit`` prints the constants of the measurement error (``ERROR`` of ``followup/growth.py``) that fit the fold; they
are fitted on fold 3 and judged on fold 2.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from LungNoduleCADLib.bundles.registry import find_bundle  # noqa: E402
from LungNoduleCADLib.followup.growth import ERROR  # noqa: E402
from LungNoduleCADLib.nodules.segment import NoduleSegmenter  # noqa: E402
from LungNoduleCADLib.training.data import open_training_data  # noqa: E402
from LungNoduleCADLib.training.growth_benchmark import examined, figures, fitted_error  # noqa: E402

SEED = 2024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=2)
    parser.add_argument("--count", type=int, default=200, help="nodules, a fifth of them phantoms")
    parser.add_argument("--hosts", type=int, default=2, help="scans of the fold whose lungs hold the nodules")
    parser.add_argument("--fit", action="store_true", help="print the constants of the measurement error only")
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    bundle = find_bundle("nodule_ct_segmentation")
    data = open_training_data(arguments.data, arguments.scans)
    segmenter = NoduleSegmenter.from_bundle(bundle, "cpu", unseen_fold=arguments.fold)
    hosts = examined(
        data, arguments.fold, segmenter, arguments.count, arguments.hosts, SEED, lambda line: print(line, flush=True)
    )
    if arguments.fit:
        print(fitted_error([case for host in hosts for case in host.cases]))
        return
    document = {
        "bundle": bundle.name,
        "version": bundle.metadata["version"],
        "weights_sha256": bundle.weight_files,
        "data": bundle.train["data"],
        "fold": arguments.fold,
        "split_sha256": data.split_sha256(),
        "seed": SEED,
        "setting": "nodules of >= 3 readers, 4 to 25 mm, and lobulated phantoms; grown by resampling; type as given",
        "measurement_error": {**asdict(ERROR), "fitted_on_fold": 3},
        "interval": "95 %, 1000 bootstrap draws of patients",
        "date": date.today().isoformat(),
        "figures": figures(hosts),
        "processor_seconds": round(time.process_time() - start, 1),
    }
    arguments.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(document["figures"], indent=2))


if __name__ == "__main__":
    main()
