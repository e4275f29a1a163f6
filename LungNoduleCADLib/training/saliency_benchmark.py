"""Whether heat maps show what the malignancy score rests on: checks on nodules with readers' outlines.

Every check states the limit that its figure, with its whole interval, has to keep. The limits do not come from the
present weights: 0 is no better than another map, 0.5 and 0.7 of a correlation are a quarter and a half of its variance
shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from time import process_time

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter

from LungNoduleCADLib.classification.encoder import EncoderRunner, mirror_images
from LungNoduleCADLib.classification.gradcam import CHOSEN, MARGIN_MM, Explainer, HeatMethod, explain_malignancy, look
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Saliency
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.evaluation import calibration
from LungNoduleCADLib.evaluation.bootstrap import bootstrap
from LungNoduleCADLib.evaluation.saliency import (
    area_under,
    central_blob,
    heat_correlation,
    heat_share,
    hottest_first,
    random_map,
    rank_correlation,
    replaced_step_by_step,
)
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training.cases import POINT, NoduleCase
from LungNoduleCADLib.training.evaluate import Examination, Figures

LUNG_HU = -850.0
BLUR_MM, NOISE_MM = 6.0, 3.0
"""Standard deviations of the Gaussians of the blurred image and of the random map."""
STEPS = 8
CURVES = ("deletion", "insertion")
BESIDE_KJI = (3, -3, 3)
"""Voxels by which a patch is moved, so that its nodule does not lie in its middle."""
CASCADE = ("heads", "backbone.layer4", "backbone.layer3", "backbone.layer2", "backbone.layer1", "backbone.conv1")
RANDOM_NETWORKS, RANDOMISED_NODULES, COMPARED_EVERY = 2, 10, 3
DIFFERENT, ALIKE, CONCENTRATED, EMPTY = 0.5, 0.7, 2.0, 0.9

Heat = Callable[[np.ndarray], np.ndarray]
"""HU (D, D, D) to heat of the same shape."""
Logits = Callable[[np.ndarray], np.ndarray]
"""HU (N, D, D, D) to malignancy logits (N,)."""
Malignancy = Callable[[np.ndarray], MalignancyEstimate]
"""HU (D, D, D) to what the encoder says of it."""


@dataclass(frozen=True)
class Subject:
    """A nodule in its patch.

    ``distance_mm``: of each voxel from the readers' consensus, negative inside; ``beside``: HU of the patch moved by
    ``BESIDE_KJI``; ``estimate``: what the encoder says of the patch.
    """

    patient: str
    hu: np.ndarray
    distance_mm: np.ndarray
    beside: np.ndarray
    estimate: MalignancyEstimate

    @property
    def region(self) -> np.ndarray:
        """The nodule and a margin of ``MARGIN_MM``."""
        return self.distance_mm <= MARGIN_MM

    @property
    def without_nodule(self) -> np.ndarray:
        """HU with the region full of lung."""
        return np.where(self.region, np.float32(LUNG_HU), self.hu)


def saliency_figures(examination: Examination, most: int, compare: Sequence[HeatMethod] = ()) -> Figures:
    """Checks of the heat maps as they are shown, and the same measures of other ways to make them.

    Parameters
    ----------
    most : nodules with a map to measure, evenly taken from all that have one; others are compared on a third of them.

    Raises
    ------
    InputError : no nodule has a high malignancy score, or none a low one.
    """
    runner = EncoderRunner.from_bundle(examination.bundle, examination.device, unseen_fold=examination.fold)
    malignancy = _malignancy_by(runner, examination.bundle.inference["calibration"]["malignancy"])
    subjects = [subject_of(case, runner.size, runner.spacing_mm, malignancy) for case in examination.cases]
    hidden, explained = _by_score(subjects)
    examination.report(f"{len(explained)} nodules have a map, {len(hidden)} a low score")
    chosen = [explained[n] for n in np.unique(np.linspace(0, len(explained) - 1, most).astype(int))]

    def heat_by(method: HeatMethod, networks: Sequence[NoduleEncoder] = runner.networks) -> Heat:
        explainer = Explainer(networks, runner.spacing_mm, "malignancy", method=method)
        return lambda hu: explainer.explain(hu)[0]

    def trial(some: Sequence[Subject]) -> Trial:
        return Trial(some, lambda hu: runner.answer(hu).heads["malignancy"][:, 0], runner.spacing_mm)

    few = chosen[:: max(len(chosen) // RANDOMISED_NODULES, 1)][:RANDOMISED_NODULES]

    def likeness(method: HeatMethod, parts: Sequence[str], some: Sequence[Subject]) -> Figures:
        return randomisation(some, runner.networks, lambda networks: heat_by(method, networks), parts)

    checks = {
        **trial(chosen).measure(heat_by(CHOSEN)),
        **likeness(CHOSEN, CASCADE[:-1], few),
        **likeness(CHOSEN, CASCADE[-1:], chosen),
        **visibility(hidden, chosen, runner, malignancy),
    }
    failed = [name for name, check in checks.items() if not check.get("pass", True)]
    examination.report(f"failed: {', '.join(failed) or 'nothing'}")
    compared, fewer = [], trial(chosen[::COMPARED_EVERY]) if compare else None
    for method in compare:
        examination.report(f"{method.technique} of {', '.join(method.layers)}")
        found = {**fewer.measure(heat_by(method)), **likeness(method, CASCADE[-1:], few)}
        failed_by_it = [name for name, check in found.items() if not check.get("pass", True)]
        compared.append({**asdict(method), "failed": failed_by_it, **found})
    return {
        "method": asdict(CHOSEN),
        "passed": not failed,
        "failed": failed,
        "nodules_with_high_score": len(explained),
        "nodules_with_low_score": len(hidden),
        "cpu_seconds_per_map": _seconds(chosen[0].hu, heat_by(CHOSEN)),
        "checks": checks,
        "compared": compared,
    }


def subject_of(case: NoduleCase, size: int, spacing_mm: float, malignancy: Malignancy) -> Subject:
    """A case as the encoder sees it: a cube of ``size`` voxels at ``spacing_mm`` around its point."""

    def patch_at(shift_kji: tuple[int, int, int]) -> np.ndarray:
        point = tuple(c + n * spacing_mm for c, n in zip(POINT, shift_kji[::-1], strict=True))
        return network_patch(case.ct, patch_geometry(point, size, spacing_mm))  # type: ignore[arg-type]

    grid = patch_geometry(POINT, size, spacing_mm)
    nodule = resample(case.reference.astype(np.float32), case.ct.geometry, grid) >= 0.5
    distance = (distance_transform_edt(~nodule) - distance_transform_edt(nodule)) * spacing_mm
    hu = patch_at((0, 0, 0))
    return Subject(case.nodule.patient_id, hu, distance, patch_at(BESIDE_KJI), malignancy(hu))


class Trial:
    """Nodules, the logit that their heat maps are to explain, and what maps achieve that know nothing of the image."""

    def __init__(self, subjects: Sequence[Subject], logits: Logits, spacing_mm: float) -> None:
        self.subjects, self._logits, self._blur_voxels = subjects, logits, BLUR_MM / spacing_mm
        self._centred, self._beside = [s.hu for s in subjects], [s.beside for s in subjects]
        rng = np.random.default_rng(0)
        noise = [random_map(hu.shape, NOISE_MM / spacing_mm, rng) for hu in self._centred]
        blobs = [central_blob(hu.shape) for hu in self._centred]
        self._rivals = {
            "random_map": self._areas(self._centred, noise),
            "central_blob": self._areas(self._centred, blobs),
            "central_blob_beside_the_middle": self._areas(self._beside, blobs),
            "outline": self._areas(self._centred, [s.distance_mm.max() - s.distance_mm for s in subjects]),
        }

    def measure(self, heat_of: Heat) -> Figures:
        """Deletion, insertion, concentration and consistency of a way to make heat maps, as checks.

        A nodule in the middle of its patch is a central blob itself: taking away the readers' outline, or that blob, is
        much the same. A map has to beat it there in both curves taken together, and in each where the nodule lies a
        little beside the middle (``BESIDE_KJI``).
        """
        subjects = self.subjects
        maps, beside = ([heat_of(hu) for hu in patches] for patches in (self._centred, self._beside))
        mine, mine_beside = self._areas(self._centred, maps), self._areas(self._beside, beside)
        inside = np.array([heat_share(heat, s.region) for s, heat in zip(subjects, maps, strict=True)])
        volume = np.array([s.region.mean() for s in subjects])
        hit = [bool(s.region.flat[heat.argmax()]) for s, heat in zip(subjects, maps, strict=True)]
        flipped = [np.flip(heat_of(np.flip(subject.hu))) for subject in subjects]
        shifts = list(map(_likeness_when_moved, maps, beside))
        return {
            **self._gains(mine, "random_map", above=0.0),
            "gain_over_central_blob": _check(subjects, self._gain(mine, "central_blob").sum(axis=1), above=0.0),
            **self._gains(mine_beside, "central_blob_beside_the_middle", above=0.0),
            "heat_to_volume_share_of_nodule_and_margin": _check(subjects, inside / volume, above=CONCENTRATED),
            "flip_consistency": _check(subjects, list(map(heat_correlation, maps, flipped)), above=ALIKE),
            "shift_consistency": _check(subjects, shifts, above=ALIKE),
            **self._gains(mine, "central_blob"),
            **self._gains(mine, "outline"),
            "hottest_voxel_in_nodule_and_margin": _check(subjects, hit),
            "heat_share_of_nodule_and_margin": _check(subjects, inside),
            "volume_share_of_nodule_and_margin": _check(subjects, volume),
            **{f"{curve}_area": _check(subjects, mine[:, n]) for n, curve in enumerate(CURVES)},
        }

    def _gain(self, mine: np.ndarray, rival: str) -> np.ndarray:
        """(N, 2): by how much (logit) deletion falls below and insertion rises above another map's."""
        return (mine - self._rivals[rival]) * (-1, 1)

    def _gains(self, mine: np.ndarray, rival: str, above: float | None = None) -> Figures:
        return {
            f"{curve}_gain_over_{rival}": _check(self.subjects, gain, above=above)
            for curve, gain in zip(CURVES, self._gain(mine, rival).T, strict=True)
        }

    def _areas(self, patches: Sequence[np.ndarray], maps: Sequence[np.ndarray]) -> np.ndarray:
        """(N, 2): mean logit while the hottest voxels become lung, and while they come back into a blurred image."""
        found = []
        for hu, heat in zip(patches, maps, strict=True):
            places = hottest_first(heat)
            blurred = gaussian_filter(hu, self._blur_voxels, mode="nearest")
            deleted = replaced_step_by_step(hu, np.full_like(hu, LUNG_HU), places, STEPS)
            inserted = replaced_step_by_step(blurred, hu, places, STEPS)
            found.append([area_under(self._logits(images)) for images in (deleted, inserted)])
        return np.array(found)


def randomisation(
    subjects: Sequence[Subject],
    networks: Sequence[NoduleEncoder],
    heat_by: Callable[[Sequence[NoduleEncoder]], Heat],
    parts: Sequence[str],
) -> Figures:
    """How far a map resembles that of the networks with random weights, from the heads down to each of ``parts``.

    Ranks, too, are compared at last: they follow the brightness of the image with any weights.
    """
    heat_of = heat_by(networks)
    maps = [heat_of(subject.hu) for subject in subjects]
    likeness, ranks = {}, []
    for part in parts:
        others = [heat_by(randomised(networks, CASCADE.index(part) + 1, seed)) for seed in range(RANDOM_NETWORKS)]
        random_maps = [[other(subject.hu) for other in others] for subject in subjects]
        likeness[part], ranks = (
            [np.mean([like(heat, other) for other in some]) for heat, some in zip(maps, random_maps, strict=True)]
            for like in (heat_correlation, rank_correlation)
        )
    return {
        "likeness_with_random_weights": _check(subjects, likeness[parts[-1]], at_most=DIFFERENT),
        "likeness_of_ranks_with_random_weights": _check(subjects, ranks),
        **{f"likeness_with_random_weights_down_to_{part}": _check(subjects, v) for part, v in likeness.items()},
    }


def randomised(networks: Sequence[NoduleEncoder], depth: int, seed: int) -> tuple[NoduleEncoder, ...]:
    """Copies whose first ``depth`` parts of ``CASCADE`` are as before training."""
    copies = tuple(deepcopy(network) for network in networks)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for copy in copies:
            for part in CASCADE[:depth]:
                for module in copy.get_submodule(part).modules():
                    if hasattr(module, "reset_parameters"):
                        module.reset_parameters()
    return copies


def visibility(
    hidden: Sequence[Subject], explained: Sequence[Subject], runner: EncoderRunner, malignancy: Malignancy
) -> Figures:
    """That nothing is shown where the score is low, and hardly ever where there is no nodule."""
    grid = patch_geometry(POINT, runner.size, runner.spacing_mm)

    def shown(hu: np.ndarray, estimate: MalignancyEstimate) -> bool:
        made = explain_malignancy(look(runner, hu), grid, grid, estimate, Method("benchmark", "1"))
        return made is not None and bool(made.heat.any())

    empty = [not shown(subject.without_nodule, malignancy(subject.without_nodule)) for subject in explained]
    return {
        "shown_where_the_score_is_low": _check(hidden, [shown(s.hu, s.estimate) for s in hidden], at_most=0.0),
        "nothing_shown_without_the_nodule": _check(explained, empty, above=EMPTY),
    }


def _malignancy_by(runner: EncoderRunner, fit: calibration.Fit) -> Malignancy:
    def malignancy(hu: np.ndarray) -> MalignancyEstimate:
        logit = runner.answer(mirror_images(hu)).heads["malignancy"].mean(axis=0)
        probability = float(calibration.apply(logit, fit)[0])
        return MalignancyEstimate(probability, encoder_probability=probability)

    return malignancy


def _by_score(subjects: Sequence[Subject]) -> tuple[list[Subject], list[Subject]]:
    """Those with a low score, and the others."""
    low: list[Subject] = []
    high: list[Subject] = []
    for subject in subjects:
        (low if Saliency.score_is_low(subject.estimate.probability) else high).append(subject)
    if not low or not high:
        raise InputError(
            "These nodules cannot show what heat maps are worth",
            expected="nodules with low and with high malignancy scores",
            got=f"{len(low)} low and {len(high)} high ones",
            todo="give more nodules",
        )
    return low, high


def _likeness_when_moved(heat: np.ndarray, beside: np.ndarray) -> float:
    """On the voxels that a patch and the one moved by ``BESIDE_KJI`` both show."""
    here = tuple(slice(max(n, 0), min(n, 0) or None) for n in BESIDE_KJI)
    there = tuple(slice(max(-n, 0), min(-n, 0) or None) for n in BESIDE_KJI)
    return heat_correlation(heat[here], beside[there])


def _seconds(hu: np.ndarray, heat_of: Heat) -> float:
    """Processor seconds of one map, the median of five after the first."""
    heat_of(hu)
    spent = []
    for _ in range(5):
        start = process_time()
        heat_of(hu)
        spent.append(process_time() - start)
    return round(float(np.median(spent)), 3)


def _check(
    subjects: Sequence[Subject],
    values: Sequence[float] | np.ndarray,
    *,
    above: float | None = None,
    at_most: float | None = None,
) -> Figures:
    """Mean with its interval; where it has a limit, whether the whole interval keeps it."""
    found = bootstrap(np.mean, [subject.patient for subject in subjects], np.asarray(values, float))
    if above is not None:
        return {**found.as_json(), "above": above, "pass": found.low > above}
    if at_most is not None:
        return {**found.as_json(), "at_most": at_most, "pass": found.high <= at_most}
    return found.as_json()
