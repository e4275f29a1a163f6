"""``evaluate registration``: landmark error and folding of the registration of any pair of scans, as JSON."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from LungNoduleCADLib.errors import UsageError

OPTIONS = {
    "fixed": "image file or DICOM folder that the other is laid onto (the current scan)",
    "moving": "image file or DICOM folder that is laid onto it (the prior scan)",
    "fixed_points": "landmarks in LPS mm of the fixed scan: the word 'point', their number, then x y z a line",
    "moving_points": "the same landmarks in the moving scan, in the same order",
}


def add_registration_options(parser: argparse.ArgumentParser) -> None:
    """The four files of ``evaluate registration``."""
    group = parser.add_argument_group("registration", "with the bundle 'registration', instead of --data")
    for name, text in OPTIONS.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="PATH", help=text)


def run_registration(arguments: argparse.Namespace) -> int:
    """Write the figures of a registration; UsageError where one of its files is not named."""
    from LungNoduleCADLib.training.export import write_json

    if missing := [name for name in OPTIONS if getattr(arguments, name) is None]:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise UsageError("evaluate registration needs two scans and their landmarks", expected=names, got="nothing")
    figures = registration_figures(arguments.fixed, arguments.moving, arguments.fixed_points, arguments.moving_points)
    write_json(arguments.out, figures)
    error, folds = figures["landmarks"], figures["folding"]
    print(
        f"{error['mean_mm']:.2f} mm mean, {error['p95_mm']:.2f} mm 95th percentile of {error['n']} landmarks "
        f"({error['initial_mean_mm']:.1f} mm before); {folds['folding_fraction']:.2%} of the lungs fold"
    )
    for flag in figures["flags"]:
        print(f"{flag['severity'].capitalize()}: {flag['message']}")
    print(arguments.out)
    return 0


def registration_figures(fixed: Path, moving: Path, fixed_points: Path, moving_points: Path) -> dict[str, Any]:
    """Landmark error (mm) before and after, Jacobian in the lungs, overlap of the lungs, flags and seconds.

    The lungs are found as in an analysis; the landmarks are only measured with.

    Raises
    ------
    InputError : a file cannot be read, or the landmarks do not belong to the scans.
    """
    from dataclasses import asdict

    from LungNoduleCADLib import __version__
    from LungNoduleCADLib.dicom.load import load_ct
    from LungNoduleCADLib.evaluation.registration import folding, landmark_error_mm, read_landmarks
    from LungNoduleCADLib.followup.register import register_studies
    from LungNoduleCADLib.lungs.segment import segment_lungs

    points = read_landmarks(fixed_points), read_landmarks(moving_points)
    scans = load_ct(fixed), load_ct(moving)
    start = time.process_time()
    lungs = segment_lungs(scans[0]), segment_lungs(scans[1])
    middle = time.process_time()
    registration = register_studies(scans[0], lungs[0], scans[1], lungs[1])
    end = time.process_time()
    grids = scans[0].geometry, scans[1].geometry
    quality = registration.quality
    return {
        "task": "registration",
        "software": __version__,
        "fixed": fixed.name,
        "moving": moving.name,
        "method": asdict(quality.method),
        "lungs": [asdict(mask.method) for mask in lungs],
        "interval": "95 %, 1000 bootstrap draws of landmarks",
        "landmarks": landmark_error_mm(registration.transform, *points, *grids).as_json(),
        "landmarks_by_the_affine_part": landmark_error_mm(registration.affine, *points, *grids).as_json(),
        "folding": folding(registration.transform, lungs[0].labels > 0, grids[0]).as_json(),
        "lung_dice_before": round(quality.lung_dice_before, 4),
        "lung_dice_after": round(quality.lung_dice_after, 4),
        "lung_surface_distance_mm": quality.mean_surface_distance_mm and round(quality.mean_surface_distance_mm, 3),
        "image_correlation": round(registration.image_correlation, 4),
        "flags": [asdict(flag) for flag in registration.flags],
        "failed": registration.failed,
        "processor_seconds": {"lungs": round(middle - start, 1), "registration": round(end - middle, 1)},
    }
