"""``phantom``: a synthetic patient's two scans as DICOM, with the truth beside them; nothing is analysed."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LungNoduleCADLib import __version__
from LungNoduleCADLib.cli.console import add_progress_option, emit, listening

if TYPE_CHECKING:
    from LungNoduleCADLib.phantom.nodules import PhantomNodule
    from LungNoduleCADLib.phantom.thorax import Phantom
    from LungNoduleCADLib.progress import Progress

BASELINE, FOLLOW_UP = SCANS = ("baseline", "follow-up")
DAYS_BETWEEN = 270
FILE_NAME = "phantom.json"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("phantom", help="a synthetic patient's two scans as DICOM, without analysing them")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the scans")
    add_seed_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=run)


def add_seed_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=_seed, default=0, help="which synthetic patient (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.progress import Progress
    from LungNoduleCADLib.report.folder import check_writable, new_results

    out, seed = arguments.out, arguments.seed
    with listening(arguments.progress) as listener:
        if not is_whole(out, seed):
            check_writable(out, replaceable=is_phantom)
            progress = Progress([*((scan, 10.0) for scan in SCANS), ("write", 1.0)], listener)
            scans = make_scans(seed, progress)
            with progress.stage("write", "writing DICOM"), new_results(out, replaceable=is_phantom) as folder:
                write_scans(scans, folder, seed)
                _write_marker(scans, folder, seed)
    if arguments.progress == "jsonl":
        emit({"result": str(out)})
    else:
        print(
            f"{out}: patient {seed} in {BASELINE}/ and, {DAYS_BETWEEN} days later, {FOLLOW_UP}/; truth in {FILE_NAME}"
        )
    return 0


def make_scans(seed: int, progress: Progress) -> dict[str, Phantom]:
    """The patient of a seed at both times, each a stage of ``progress``."""
    from LungNoduleCADLib.phantom.thorax import make_phantom

    scans = {}
    for scan in SCANS:
        with progress.stage(scan, f"making the {scan} scan"):
            scans[scan] = make_phantom(seed, scan == FOLLOW_UP, interval_days=DAYS_BETWEEN)
    return scans


def write_scans(scans: dict[str, Phantom], folder: Path, seed: int) -> None:
    """A DICOM series below ``folder`` for each scan, of one and the same patient."""
    from LungNoduleCADLib.phantom.dicom import write_dicom_series

    for scan, phantom in scans.items():
        write_dicom_series(phantom.ct, folder / scan, patient_id=f"PHANTOM-{seed}")


def is_phantom(folder: Path) -> bool:
    """Whether a folder holds what this verb writes and nothing else, so that it may be replaced."""
    return (folder / FILE_NAME).is_file() and {path.name for path in folder.iterdir()} <= {*SCANS, FILE_NAME}


def is_whole(folder: Path, seed: int) -> bool:
    """Whether a folder holds the patient of this seed as this version writes it, every byte of it."""
    try:
        marker = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        expected = {"version": __version__, "seed": seed, "sha256": _digest(folder)}
    except (OSError, ValueError):
        return False
    return isinstance(marker, dict) and all(marker.get(key) == value for key, value in expected.items())


def _write_marker(scans: dict[str, Phantom], folder: Path, seed: int) -> None:
    marker = {
        "version": __version__,
        "seed": seed,
        "days_between": DAYS_BETWEEN,
        "truth": {scan: [_truth(nodule) for nodule in phantom.truth] for scan, phantom in scans.items()},
        "sha256": _digest(folder),
    }
    (folder / FILE_NAME).write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")


def _truth(nodule: PhantomNodule) -> dict[str, Any]:
    return {
        "id": nodule.id,
        "type": str(nodule.type),
        "centre_lps_mm": [round(value, 2) for value in nodule.centre_lps_mm],
        "diameter_mm": round(nodule.diameter_mm, 2),
        "volume_mm3": round(nodule.volume_mm3, 1),
        "change": str(nodule.change),
        "vdt_days": nodule.vdt_days,
    }


def _digest(folder: Path) -> str:
    """One SHA-256 of all scan files below a folder, names and bytes."""
    digest = hashlib.sha256()
    for scan in SCANS:
        for file in sorted((folder / scan).iterdir()):
            digest.update(f"{scan}/{file.name}".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _seed(text: str) -> int:
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if seed < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return seed
