"""How well the out-of-distribution flag works: ``python Testing/Benchmarks/familiarity.py SAMPLES --data PACK``.

SAMPLES is the store of cubes that ``train nodule_ct_attributes`` prepared, PACK the nodule pack. Each network is asked
about the nodules of the fold that it never saw, as they are and changed in ways that it was not trained on, about
non-nodules, and about the phantoms' nodules (which it was trained on). The limit that a fold is judged by comes from
the other folds. Fold 4 is not used. The ranges of the scans that were trained on are written, too. The figures go to
``familiarity.json`` beside this file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import GaussianSharpen
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from LungNoduleCADLib.bundles.registry import find_bundle  # noqa: E402
from LungNoduleCADLib.bundles.spec import Bundle  # noqa: E402
from LungNoduleCADLib.classification.encoder import EncoderRunner  # noqa: E402
from LungNoduleCADLib.classification.familiarity import FAMILIAR_SHARE, KINDS, Familiarity  # noqa: E402
from LungNoduleCADLib.evaluation.bootstrap import bootstrap  # noqa: E402
from LungNoduleCADLib.evaluation.discrimination import auc  # noqa: E402
from LungNoduleCADLib.lungs.image_quality import noise_hu  # noqa: E402
from LungNoduleCADLib.training.export import write_json  # noqa: E402
from LungNoduleCADLib.training.fit_familiarity import relative_limit, unseen_nodules  # noqa: E402
from LungNoduleCADLib.training.nodule_pack import NodulePack  # noqa: E402
from LungNoduleCADLib.training.samples import SYNTHETIC_FOLD, SampleStore  # noqa: E402
from LungNoduleCADLib.training.train_encoder import held_out_rows, middle  # noqa: E402

CLEAN = "held-out nodules"
Change = Callable[[np.ndarray, np.random.Generator, float], np.ndarray]


def thick_slices(cube: np.ndarray, _: np.random.Generator, spacing_mm: float, thickness_mm: float = 10.0) -> np.ndarray:
    """The mean over each slice, and straight lines between the slices' middles."""
    depth = thickness_mm / spacing_mm
    mean = ndimage.uniform_filter1d(cube, round(depth), axis=0, mode="nearest")
    middles = np.arange((len(cube) / 2) % depth, len(cube), depth)
    at = np.interp(np.arange(len(cube)), middles, np.arange(len(middles)))
    return ndimage.map_coordinates(mean[np.rint(middles).astype(int)], _grid(at, cube.shape), order=1, mode="nearest")


def _grid(along_k: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(np.meshgrid(along_k, *(np.arange(n) for n in shape[1:]), indexing="ij"))


def noise(cube: np.ndarray, rng: np.random.Generator, _: float, sigma_hu: float = 150.0) -> np.ndarray:
    """Gaussian noise, smooth over neighbours as a scanner's."""
    field = ndimage.gaussian_filter(rng.normal(size=cube.shape), 0.7)
    return cube + field / field.std() * sigma_hu


def sharpened(cube: np.ndarray, _: np.random.Generator, __: float) -> np.ndarray:
    return np.asarray(GaussianSharpen(sigma1=1.0, sigma2=0.5, alpha=10.0)(cube[None]))[0]


def far_off(cube: np.ndarray, rng: np.random.Generator, spacing_mm: float, distance_mm: float = 15.0) -> np.ndarray:
    """Another place of the cube in its middle: towards a corner, for no other lies that far off inside of it."""
    steps = np.full(3, round(distance_mm / np.sqrt(3) / spacing_mm)) * rng.choice([-1, 1], 3)
    return np.roll(cube, tuple(-int(step) for step in steps), axis=(0, 1, 2))


CHANGES: dict[str, Change] = {
    CLEAN: lambda cube, *_: cube,
    "slices of 10 mm": thick_slices,
    "noise of 60 HU more": lambda cube, rng, mm: noise(cube, rng, mm, 60.0),
    "noise of 150 HU more": noise,
    "sharpened": sharpened,
    "300 HU higher": lambda cube, *_: cube + 300,
    "300 HU lower": lambda cube, *_: cube - 300,
    "inverted": lambda cube, *_: -800 - cube,
    "15 mm off": far_off,
}


@dataclass(frozen=True)
class Judged:
    """Of patches: distances (kinds, N), probability of a nodule (N,), patients."""

    distances: np.ndarray
    probability: np.ndarray
    patients: list[str]


@dataclass(frozen=True)
class Member:
    """One network with what it knows, and the fold that it never saw."""

    fold: int
    runner: EncoderRunner
    familiarity: Familiarity
    calibration: dict[str, Any]

    def judge(self, store: SampleStore, rows: list[int], change: Change) -> Judged:
        rng = np.random.default_rng(self.fold)
        cubes = (
            np.clip(change(store.hu[row].astype(np.float32), rng, self.runner.spacing_mm), -1024, 3071) for row in rows
        )
        patches = [middle(cube, self.runner.size) for cube in cubes]
        answers = self.runner.answer(patches)
        return Judged(
            self.familiarity.distances(patches, [answers]),
            answers.probability("nodule", self.calibration),
            [store.samples[row].patient for row in rows],
        )


def members_of(bundle: Bundle, folds: list[int] | None, device: str) -> list[Member]:
    calibration = bundle.inference["calibration"].get("nodule", {})
    members = []
    for fold in folds or [member["held_out_fold"] for member in bundle.inference["members"]]:
        familiarity = Familiarity.from_bundle(bundle, fold)
        if familiarity is None:
            raise SystemExit(f"{bundle.path} has no familiarity.safetensors: fit_familiarity makes it")
        runner = EncoderRunner.from_bundle(bundle, device, unseen_fold=fold)
        members.append(Member(fold, runner, familiarity, calibration))
    return members


def groups_of(store: SampleStore, fold: int, most: int) -> dict[str, tuple[list[int], Change]]:
    """{name: rows and what is done to them} of the fold: all nodules as they are, of others at most so many."""
    nodules = unseen_nodules(store, fold)
    others = [row for row in held_out_rows(store, fold, 10 * most) if not store.samples[row].nodule_id]
    whole = [row for row in nodules if store.samples[row].real_context]
    phantoms = [r for r, s in enumerate(store.samples) if s.fold == SYNTHETIC_FOLD and s.synthetic_type]
    groups = {name: (nodules if name == CLEAN else _spread(nodules, most), change) for name, change in CHANGES.items()}
    groups["held-out nodules as they lie in whole scans"] = (whole, CHANGES[CLEAN])
    for name, real in (("proposed by the finder in whole scans", True), ("vessels and walls set into lung", False)):
        rows = [row for row in others if store.samples[row].real_context is real]
        groups[f"non-nodules, {name}"] = (_spread(rows, most), CHANGES[CLEAN])
    groups["phantoms' nodules"] = (_spread(phantoms, most), CHANGES[CLEAN])
    return groups


def _spread(rows: list[int], most: int) -> list[int]:
    return rows[:: max(1, -(-len(rows) // most))]


def figures(
    group: list[Judged], clean: list[Judged], limits: list[np.ndarray], likely: float, draws: int
) -> dict[str, Any]:
    """Share flagged and area under the curve against the clean nodules, each network's distances by its own limits."""
    distances, known = (
        np.concatenate([one.distances / limit for one, limit in zip(many, limits, strict=True)], axis=1)
        for many in (group, clean)
    )
    patients = [p for one in group for p in one.patients]
    everyone = patients + [p for one in clean for p in one.patients]
    strange = np.repeat([True, False], [distances.shape[1], known.shape[1]])
    scores = {"unfamiliarity": np.concatenate([distances.max(0), known.max(0)])}
    scores |= {kind: np.concatenate([distances[n], known[n]]) for n, kind in enumerate(KINDS)}
    flagged = (distances.max(axis=0) > 1).astype(float)
    unlikely = (np.concatenate([one.probability for one in group]) < likely).astype(float)
    return {
        "flagged": bootstrap(np.mean, patients, flagged, draws=draws).as_json(),
        "flagged_or_below_operating_threshold": bootstrap(
            np.mean, patients, np.maximum(flagged, unlikely), draws=draws
        ).as_json(),
        "auc": {
            name: bootstrap(auc, everyone, strange, score, draws=draws).as_json() for name, score in scores.items()
        },
    }


def measured(store: SampleStore, members: list[Member], likely: float, most: int, draws: int) -> dict[str, Any]:
    judged: dict[str, list[Judged]] = {}
    for member in members:
        for name, (rows, change) in groups_of(store, member.fold, most).items():
            if rows:
                judged.setdefault(name, []).append(member.judge(store, rows, change))
            else:
                empty = Judged(np.zeros((len(KINDS), 0)), np.zeros(0), [])
                judged.setdefault(name, []).append(empty)
            print(f"fold {member.fold}: {name}, {len(rows)}", flush=True)
    clean = judged[CLEAN]
    limits = []
    for n in range(len(members)):
        others = [one for m, one in enumerate(clean) if m != n] or clean
        relative = [relative_limit({m: one.distances[k] for m, one in enumerate(others)}) for k in range(len(KINDS))]
        limits.append((np.median(clean[n].distances, axis=1) * relative)[:, None])
    return {
        name: figures(group, clean, limits, likely, draws)
        for name, group in judged.items()
        if any(one.patients for one in group)
    }


def trained_ranges(pack: NodulePack, folds: list[int]) -> dict[str, Any]:
    """Spacing and noise of the scans, one nodule of each patient: least, 1st, 50th and 99th percentile, most."""
    nodules = list({n.patient_id: n for n in pack.of_folds(tuple(folds))}.values())
    values = {
        "slice_spacing_mm": [n.spacing_kji_mm[0] for n in nodules],
        "pixel_mm": [n.spacing_kji_mm[1] for n in nodules],
        "noise_hu": [noise_hu(pack.load(n).hu, n.spacing_kji_mm) for n in nodules],
    }
    known = {name: np.array(v)[np.isfinite(v)] for name, v in values.items()}
    names = ("least", "percentile_1", "median", "percentile_99", "most")
    return {
        name: {"patients": len(v)}
        | dict(zip(names, np.percentile(v, [0, 1, 50, 99, 100]).round(2).tolist(), strict=True))
        for name, v in known.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the nodule pack")
    parser.add_argument("-o", "--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--folds", type=int, nargs="+", help="by default those that the bundle's networks leave out")
    parser.add_argument("--most", type=int, default=60, help="patches of a group and fold")
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    bundle, store = find_bundle("nodule_ct_attributes"), SampleStore(arguments.samples)
    members = members_of(bundle, arguments.folds, arguments.device)
    likely = bundle.inference["operating_threshold"]
    folds = ", ".join(str(member.fold) for member in members)
    result = {
        "data": "LIDC-IDRI nodules set into lung of other scans; each network judges the fold that it never saw",
        "split": f"folds {folds}; the limit for a fold comes from the others",
        "weights_sha256": bundle.weight_files,
        "familiar_share_aimed_at": FAMILIAR_SHARE,
        "operating_threshold": likely,
        "interval": f"95 %, {arguments.draws} bootstrap draws of patients",
        "groups": measured(store, members, likely, arguments.most, arguments.draws),
        "trained_ranges": trained_ranges(NodulePack(arguments.data), bundle.train["folds"]["cross_fitted"]),
    }
    write_json(arguments.json, result)
    print(arguments.json)


if __name__ == "__main__":
    main()
