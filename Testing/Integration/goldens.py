"""What the product said of known scans, and whether it still says it.

``python Testing/Integration/goldens.py --update`` analyses the demo's phantom and real scans (``../shared/data``) again
and writes ``goldens.json`` (CPU; a few minutes a scan); ``--check`` compares instead; names of scans, where given, are
all that it takes. Write them again after a change that is meant to change results, and say so in the commit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CT = ROOT.parent / "shared" / "data" / "ct"
GOLDENS = Path(__file__).with_suffix(".json")
DEMO = "demo"
ARCHIVES = {"lidc-0003": "lidc-0003.tar.xz", "lidc-0028": "lidc-0028.tar", "lidc-0350": "lidc-0350.tar"}
REWRITE = "if that is meant: python Testing/Integration/goldens.py --update"
TOLERANCES = {  # by the unit at the end of a name: (absolute, relative)
    "_mm": (0.1, 0.0),
    "_mm3": (0.0, 0.02),
    "_ml": (0.0, 0.02),
    "_mg": (0.0, 0.02),
    "_hu": (1.0, 0.0),
    "probability": (0.02, 0.0),
}
NODULE_FIELDS = (
    "type",
    "centroid_lps_mm",
    "volume_mm3",
    "solid_volume_mm3",
    "long_axis_mm",
    "short_axis_mm",
    "mean_diameter_mm",
    "mean_hu",
    "mass_mg",
    "side",
    "zone",
    "lung_rads",
    "detection_probability",
)

Json = dict[str, Any]


def summary(findings: Json) -> Json:
    """What is compared of a ``findings.json``, that of a prior included."""
    lungs, comparison = findings["lungs"] or {}, findings["comparison"] or {"matches": []}
    made: Json = {
        "models": {m["name"]: f"{m['version']} {m['sha256'] or ''}".strip() for m in findings["provenance"]["methods"]},
        "category": findings["lung_rads"]["category"],
        "rule": findings["lung_rads"]["rule_id"],
        "lungs": {name: lungs.get(name) for name in ("right_volume_ml", "left_volume_ml")},
        "nodules": {nodule["id"]: _nodule(nodule) for nodule in findings["nodules"]},
        "matches": {f"{match['prior_id']} {match['current_id']}": match["change"] for match in comparison["matches"]},
        "quality_flags": sorted(flag["code"] for flag in findings["quality_flags"]),
    }
    if findings["prior"]:
        made["prior"] = summary(findings["prior"])
    return made


def _nodule(nodule: Json) -> Json:
    return {
        **{name: nodule[name] for name in NODULE_FIELDS},
        "malignancy_probability": nodule["malignancy"]["probability"],
    }


def differences(then: Any, now: Any, name: str = "", path: str = "") -> Iterator[str]:
    """A line for each value that is not the same within the tolerance of its unit."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted({*then, *now}):
            where = f"{path}.{key}" if path else key
            if key in then and key in now:
                yield from differences(then[key], now[key], key, where)
            else:
                yield f"{where}: {'gone' if key in then else 'new'}"
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, (a, b) in enumerate(zip(then, now, strict=True)):
            yield from differences(a, b, name, f"{path}[{i}]")
    elif not _same(then, now, name):
        yield f"{path}: {then} then, {now} now"


def _same(then: Any, now: Any, name: str) -> bool:
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (then, now)):
        return then == now
    absolute, relative = next((given for unit, given in TOLERANCES.items() if name.endswith(unit)), (0.0, 0.0))
    return abs(then - now) <= max(absolute, relative * abs(then)) + 1e-9


def read_goldens() -> dict[str, Json]:
    return json.loads(GOLDENS.read_text(encoding="utf-8")) if GOLDENS.is_file() else {}


def read_summary(out: Path) -> Json:
    return summary(json.loads((out / "findings.json").read_text(encoding="utf-8")))


def unpack(scan: str, folder: Path) -> Path:
    """The DICOM files of a real scan, in ``folder``."""
    with tarfile.open(CT / ARCHIVES[scan]) as archive:
        archive.extractall(folder, filter="data")
    return folder


def analyse(scan: str, work: Path) -> Path:
    """Results of a scan in ``work``; those that are there already are taken as they are."""
    from LungNoduleCADLib.cli import main

    out = work / scan
    if out.exists():
        return out
    with tempfile.TemporaryDirectory() as folder:
        what = ["demo"] if scan == DEMO else ["analyse", str(unpack(scan, Path(folder)))]
        if main([*what, "-o", str(out), "--device", "cpu", "--progress", "none"]):
            raise SystemExit(f"{scan} could not be analysed")
    return out


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    todo = parser.add_mutually_exclusive_group(required=True)
    todo.add_argument("--update", action="store_true", help="write goldens.json")
    todo.add_argument("--check", action="store_true", help="say what differs from it")
    parser.add_argument("--work", type=Path, help="folder for the results; those already there are taken as they are")
    parser.add_argument("scans", nargs="*", help=f"default: {DEMO} {' '.join(ARCHIVES)}")
    options = parser.parse_args(arguments)
    goldens, wrong = read_goldens(), 0
    with tempfile.TemporaryDirectory() as folder:
        for scan in options.scans or [DEMO, *ARCHIVES]:
            now = read_summary(analyse(scan, options.work or Path(folder)))
            for line in differences(goldens.get(scan, {}), now):
                wrong += 1
                print(f"{scan} {line}", flush=True)
            goldens[scan] = now
    if options.update:
        GOLDENS.write_text(json.dumps(goldens, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return int(bool(wrong and options.check))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
