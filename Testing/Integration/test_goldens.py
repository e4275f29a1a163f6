"""What is said of known scans does not change by accident, and the same scan gives the same findings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from goldens import DEMO, REWRITE, differences, read_goldens, read_summary

from LungNoduleCADLib.cli import main
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from LungNoduleCADLib.phantom.nodules import DEFAULT_NODULES
from LungNoduleCADLib.phantom.thorax import make_phantom

QUIET = ["--device", "cpu", "--progress", "none"]
OF_THE_RUN = ("created", "stages", "command")
NODULE = {
    "type": "solid",
    "centroid_lps_mm": [10.0, -20.0, 30.0],
    "volume_mm3": 500.0,
    "mean_diameter_mm": 9.8,
    "mean_hu": -20.0,
    "detection_probability": 0.9,
    "malignancy_probability": 0.5,
}
GOLDEN = {
    "category": "4A",
    "nodules": dict.fromkeys(("N1", "N2", "N3"), NODULE),
    "prior": {"nodules": {"N1": NODULE}},
}


def check(scan: str, out: Path) -> None:
    changed = list(differences(read_goldens().get(scan, {}), read_summary(out)))
    assert not changed, "\n".join([f"{scan} is not what it was ({REWRITE}):", *changed])


def test_the_demo_is_what_it_was(demo: Path) -> None:
    check(DEMO, demo)


@pytest.mark.real_data
@pytest.mark.parametrize("scan", ["lidc-0003", "lidc-0350"])
def test_real_scans_are_what_they_were(scan: str, analysed_scan: Callable[[str], Path]) -> None:
    check(scan, analysed_scan(scan))


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [
        ("mean_diameter_mm", 0.1, 0.2),
        ("mean_hu", 0.9, 1.1),
        ("detection_probability", 0.019, 0.021),
        ("malignancy_probability", -0.019, -0.021),
    ],
)
def test_a_value_may_move_by_the_tolerance_of_its_unit_only(name: str, within: float, beyond: float) -> None:
    for step, count in ((within, 0), (beyond, 1)):
        moved = json.loads(json.dumps(GOLDEN))
        moved["nodules"]["N1"][name] += step
        assert len(list(differences(GOLDEN, moved))) == count


def test_a_volume_a_place_a_category_and_a_nodule_more_or_less_are_told() -> None:
    moved: dict[str, Any] = json.loads(json.dumps(GOLDEN))
    moved["nodules"]["N1"]["volume_mm3"] *= 1.021
    moved["nodules"]["N2"]["volume_mm3"] *= 1.019
    moved["nodules"]["N2"]["centroid_lps_mm"][2] += 0.11
    moved["category"] = "0"
    del moved["nodules"]["N3"]
    moved["prior"]["nodules"]["N99"] = {}

    told = [line.partition(":")[0] for line in differences(GOLDEN, moved)]

    assert told == [
        "category",
        "nodules.N1.volume_mm3",
        "nodules.N2.centroid_lps_mm[2]",
        "nodules.N3",
        "prior.nodules.N99",
    ]


def test_the_same_scan_gives_the_same_findings_in_another_process(tmp_path: Path) -> None:
    plans = [plan for plan in DEFAULT_NODULES if plan.id in ("P1", "P6")]
    scan = make_phantom(3, True, nodules=plans, shape_kji=(56, 136, 136), spacing_kji_mm=(2.5, 2.4, 2.4))
    write_dicom_series(scan.ct, tmp_path / "scan")
    outs = [tmp_path / name for name in ("first", "second")]
    commands = [["analyse", str(tmp_path / "scan"), "-o", str(out), *QUIET] for out in outs]

    assert main(commands[0]) == 0
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    library = Path(__file__).resolve().parents[2]
    subprocess.run(
        [sys.executable, "-m", "LungNoduleCADLib", *commands[1]],
        cwd=library,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )

    first, second = (_without_times(out) for out in outs)
    assert json.loads(first)["nodules"]
    assert first == second


def _without_times(out: Path) -> str:
    """The text of the findings, less when and how long they were made."""
    document = json.loads((out / "findings.json").read_text(encoding="utf-8"))
    for name in OF_THE_RUN:
        document["provenance"].pop(name)
    return json.dumps(document, indent=1)
