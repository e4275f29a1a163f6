"""Whether growth is measured as it is: known growth of real nodules against what follow-up says of it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from datetime import date, timedelta
from itertools import islice
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize

from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import Nodule, NoduleCandidate, NoduleType, TypeEstimate
from LungNoduleCADLib.domain.provenance import Method, Provenance
from LungNoduleCADLib.evaluation.bootstrap import bootstrap
from LungNoduleCADLib.followup.growth import (
    Z95,
    MeasurementError,
    classify_change,
    measure_growth,
    volume_doubling_time_days,
)
from LungNoduleCADLib.followup.match import match_nodules
from LungNoduleCADLib.followup.register import Registration, register_studies
from LungNoduleCADLib.nodules.measure import measure_nodule, nodule_volume_mm3
from LungNoduleCADLib.nodules.segment import NoduleSegmenter
from LungNoduleCADLib.training.cases import nodule_cases
from LungNoduleCADLib.training.data import MarkedScan, PackNodule, TrainingData
from LungNoduleCADLib.training.growth_cases import (
    Acquisition,
    Breath,
    Source,
    breathed,
    phantom_source,
    places_in,
    real_source,
    scanned,
)
from LungNoduleCADLib.training.lung_background import Donor

CLEAR_READERS = 3
SIZES_MM = (4.0, 25.0)
DEPTH_MM = 9.0
POINT_SD_MM, POINT_REACH_MM = 0.7, 2.0  # how far a detector's point lies from the middle
TODAY = date(2024, 7, 1)
MODEL = Method("growth benchmark", "1")
COVERED = 0.955  # a little more than 95 %, for the constants are rounded
LEAST_LOG_SD, LEAST_BOUNDARY_MM, LEAST_SLICE_MM, LEAST_SUBSOLID = 0.02, 0.03, 0.02, 1.25
CLEAR_GROWTH, CLEAR_SIZE_MM = 1.3, 6.0
Report = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """A nodule of known change, as measured in both scans (``None``: not seen), at its places in the host's lungs."""

    source: Source
    factor: float
    interval_days: int
    slices_mm: tuple[float, float]
    before: Nodule | None
    after: Nodule | None

    @property
    def growth(self) -> Growth | None:
        if self.before is None or self.after is None:
            return None
        return measure_growth(self.before, self.after, self.interval_days, self.slices_mm)

    @property
    def change(self) -> Change:
        growth = self.growth
        if growth is None:
            return Change.UNCERTAIN
        return classify_change(growth.volume_change_percent, growth.volume_change_interval_95_percent)


@dataclass(frozen=True)
class Host:
    """A real scan, the same under a known breath, and the product's registration of the two."""

    scan: MarkedScan
    breath: Breath
    registration: Registration
    processor_seconds: float
    cases: tuple[Case, ...]


def examined(
    data: TrainingData, fold: int, segmenter: NoduleSegmenter, count: int, hosts: int, seed: int, report: Report
) -> list[Host]:
    """``count`` nodules of a fold, a fifth of them phantoms, in the lungs of ``hosts`` scans of the same fold.

    Parameters
    ----------
    segmenter : of networks that never saw the fold.
    """
    rng = np.random.default_rng([seed, fold])
    scans = list(islice(data.marked_scans((fold,)), hosts))
    donors = [Donor(scan.ct, scan.lungs, scan.keep_away_lps_mm) for scan in scans]
    report(f"{', '.join(scan.name for scan in scans)}: lungs of fold {fold}")
    sources = list(_sources(data, fold, donors, count, rng, seed))
    found = []
    for number, scan in enumerate(scans):
        breath = Breath.drawn(rng, _middle(scan.lungs))
        again, lungs = breathed(scan, breath, rng)
        start = time.process_time()
        registration = register_studies(again, lungs, scan.ct, scan.lungs)
        seconds = time.process_time() - start
        report(f"{scan.name}: registered in {seconds:.0f} processor seconds")
        avoid = scan.keep_away_lps_mm
        places = places_in(scan.ct.geometry, scan.lungs, rng, avoid, DEPTH_MM)
        mine = sources[number :: len(scans)]
        cases = tuple(
            _case(source, native_mm, breath, place, segmenter, rng)
            for (source, native_mm), place in zip(mine, places, strict=False)
        )
        found.append(Host(scan, breath, registration, seconds, cases))
        report(f"{scan.name}: {len(cases)} nodules measured twice")
    return found


def figures(hosts: list[Host]) -> dict[str, Any]:
    """Volume change, coverage of the VDT interval, classes, pairing and registration; 95 % intervals over patients."""
    cases = [case for host in hosts for case in host.cases]
    seen = [case for case in cases if case.growth is not None]
    clear = [
        c
        for c in cases
        if c.factor >= CLEAR_GROWTH and c.source.type is NoduleType.SOLID and c.source.diameter_mm >= CLEAR_SIZE_MM
    ]
    return {
        "cases": len(cases),
        "real": sum(not case.source.synthetic for case in cases),
        "phantom": sum(case.source.synthetic for case in cases),
        "patients": len({case.source.patient_id for case in cases}),
        "not_outlined": len(cases) - len(seen),
        "log_volume_ratio_error": {name: _error(group) for name, group in _groups(seen)},
        "vdt_interval_coverage": {
            name: _share([_vdt_covered(c) for c in group], group)
            for name, group in _groups([c for c in seen if c.factor != 1.0])
        },
        "volume_interval_coverage": {
            name: _share([_covered(c) for c in group], group) for name, group in _groups(seen)
        },
        "mass_interval_coverage": _share([_covered(c, mass=True) for c in seen], seen),
        "classes": {
            "unchanged": dict(Counter(str(c.change) for c in cases if c.factor == 1.0)),
            "grown by 30 % or more": dict(Counter(str(c.change) for c in cases if c.factor >= CLEAR_GROWTH)),
            "solid, 6 mm or more, grown by 30 % or more": dict(Counter(str(c.change) for c in clear)),
            "shrunk by 25 % or more": dict(Counter(str(c.change) for c in cases if c.factor <= 0.75)),
        },
        "clear_growth_called_growing_or_uncertain": _share(
            [c.change in (Change.GROWING, Change.UNCERTAIN) for c in clear], clear
        ),
        "pairing": _pairing(hosts),
        "registration": [_registration(host) for host in hosts],
    }


def fitted_error(cases: list[Case]) -> MeasurementError:
    """The constants of the measurement error under which the errors of these cases are likeliest.

    Errors have heavy tails (an outline that takes in a vessel), so a t distribution is fitted, and then widened or
    narrowed until 95 % of the errors lie within 1.96 standard deviations. No volume is taken as surer than ``LEAST_*``,
    and subsolid nodules, of which there are few, as less certain than solid ones by at least what is published for
    patients scanned twice (see ``followup.growth``).
    """
    seen = [case for case in cases if case.growth is not None]
    errors = np.array([_log_error(case) for case in seen])

    def sds(model: MeasurementError) -> np.ndarray:
        return np.array([_sd(model, case) for case in seen])

    def of(constants: np.ndarray, scale: float = 1.0) -> MeasurementError:
        floor, solid, subsolid, slices, *others = (float(value * scale) for value in constants)
        solid = max(solid, LEAST_BOUNDARY_MM)
        subsolid = max(subsolid, LEAST_SUBSOLID * solid)
        slices = max(slices, LEAST_SLICE_MM)
        return MeasurementError(max(floor, LEAST_LOG_SD), solid, subsolid, slices, *others, mass_share=1.0)

    def unlikelihood(logs: np.ndarray) -> float:
        model = of(np.exp(logs))
        sd = sds(model)
        return float(np.sum(np.log(sd) + 2.5 * np.log1p((errors / sd) ** 2 / 4)))

    start = np.log([0.03, 0.05, 0.12, 0.03, 1.0, 0.1])
    best = np.exp(minimize(unlikelihood, start, method="Nelder-Mead", options={"maxiter": 2000}).x)

    def uncovered(scale: float) -> float:
        return float(np.quantile(np.abs(errors) / sds(of(best, scale)), COVERED, method="higher") / Z95 - 1)

    model = of(best, brentq(uncovered, 0.2, 5.0))
    masses = np.array([_log_error(case, mass=True) for case in seen])
    mass_share = float(np.quantile(np.abs(masses) / sds(model), COVERED, method="higher") / Z95)
    return MeasurementError(*(round(value, 3) for value in astuple(replace(model, mass_share=mass_share))))


def _sd(model: MeasurementError, case: Case) -> float:
    before, after = (nodule.measurements for nodule in (case.before, case.after) if nodule)
    return model.log_ratio_sd((before, after), case.source.type, case.slices_mm)  # type: ignore[arg-type]


def _sources(
    data: TrainingData, fold: int, donors: list[Donor], count: int, rng: np.random.Generator, seed: int
) -> Iterator[tuple[Source, float]]:
    """(nodule, slices of its own scan in mm)."""
    nodules = data.of_folds((fold,), lambda n: n.n_readers >= CLEAR_READERS and _usable(n))
    phantoms = max(count // 5, count - len(nodules))
    chosen = [nodules[n] for n in rng.permutation(len(nodules))[: count - phantoms]]
    found = [(real_source(case), case.nodule.spacing_kji_mm[0]) for case in nodule_cases(data, chosen, donors, seed)]
    places = [places_in(d.ct.geometry, d.lungs, rng, d.avoid_lps_mm, DEPTH_MM) for d in donors]
    for number in range(phantoms):
        which = number % len(donors)
        found.append((phantom_source(f"phantom {number}", donors[which], next(places[which]), rng), 1.0))
    yield from (found[n] for n in rng.permutation(len(found)))


def _usable(nodule: PackNodule) -> bool:
    return SIZES_MM[0] <= nodule.eq_diameter_mm < SIZES_MM[1]


def _middle(lungs: LungMask) -> np.ndarray:
    return lungs.geometry.to_lps_mm(np.argwhere(lungs.labels > 0).mean(axis=0))


def _case(
    source: Source,
    native_mm: float,
    breath: Breath,
    place: np.ndarray,
    segmenter: NoduleSegmenter,
    rng: np.random.Generator,
) -> Case:
    factor, days = _factor(rng), int(rng.integers(60, 800))
    makes = Acquisition.drawn(rng, native_mm), Acquisition.drawn(rng, native_mm)
    now = breath.to_current(place)
    before = _measured(scanned(source, makes[0], rng), source, place, segmenter, rng)
    after = _measured(scanned(source, makes[1], rng, factor, breath, now), source, now, segmenter, rng)
    return Case(source, factor, days, (makes[0].slice_mm, makes[1].slice_mm), before, after)


def _factor(rng: np.random.Generator) -> float:
    """Three in ten unchanged, half grown to 1.3 to 3 times the volume, some grown less, some shrunk."""
    kind = rng.random()
    if kind < 0.3:
        return 1.0
    if kind < 0.8:
        return float(np.exp(rng.uniform(np.log(CLEAR_GROWTH), np.log(3.0))))
    return float(rng.uniform(1.1, CLEAR_GROWTH)) if kind < 0.9 else float(rng.uniform(0.5, 0.75))


def _measured(
    ct: CtVolume, source: Source, place: np.ndarray, segmenter: NoduleSegmenter, rng: np.random.Generator
) -> Nodule | None:
    """The nodule as the product outlines and measures it from a detector's point, at its place in the host."""
    point = np.clip(rng.normal(0.0, POINT_SD_MM, 3), -POINT_REACH_MM, POINT_REACH_MM)
    mask = segmenter.segment(ct, tuple(float(v) for v in point))  # type: ignore[arg-type]
    if mask is None:
        return None
    lungs = LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, MODEL)
    where = tuple(float(v) for v in np.add(place, mask.centroid_lps_mm()))
    kind = TypeEstimate(source.type, {source.type: 1.0}, MODEL)
    measured = measure_nodule(ct, lungs, mask)
    again = segmenter.segment(ct, mask.centroid_lps_mm())
    measured = replace(measured, volume_again_mm3=nodule_volume_mm3(again) if again else 0.0)
    return Nodule(source.name, NoduleCandidate(where), where, None, measured, kind)  # type: ignore[arg-type]


def _log_error(case: Case, *, mass: bool = False) -> float:
    growth = case.growth
    if growth is None:
        return math.nan
    change = growth.mass_change_percent if mass else growth.volume_change_percent
    return math.log1p((change or 0.0) / 100) - math.log(case.factor)


def _covered(case: Case, *, mass: bool = False) -> bool:
    growth = case.growth
    interval = growth and (growth.mass_change_interval_95_percent if mass else growth.volume_change_interval_95_percent)
    return bool(interval and interval[0] <= 100 * (case.factor - 1) <= interval[1])


def _vdt_covered(case: Case) -> bool:
    """Whether the true doubling time lies between the ends; an open end reaches past no growth to any shrinking."""
    growth = case.growth
    interval = growth and growth.vdt_interval_95_days
    truth = volume_doubling_time_days(1.0, case.factor, case.interval_days)
    if not interval or truth is None:
        return False
    fastest, slowest = interval
    rate, high = 1 / truth, 1 / fastest if fastest else 0.0
    low = 1 / slowest if slowest else -math.inf
    return low <= rate <= high


def _share(hits: list[bool], cases: list[Case]) -> dict[str, Any] | None:
    if not cases:
        return None
    patients = [case.source.patient_id for case in cases]
    return bootstrap(lambda values: float(values.mean()), patients, np.array(hits, float)).as_json()


def _error(cases: list[Case]) -> dict[str, Any]:
    errors = np.array([_log_error(case) for case in cases])
    return {
        "cases": len(cases),
        "mean": round(float(errors.mean()), 4),
        "sd": round(float(errors.std()), 4),
        "median_absolute_percent": round(float(100 * np.median(np.abs(np.expm1(errors)))), 2),
        "p95_absolute_percent": round(float(100 * np.quantile(np.abs(np.expm1(errors)), 0.95)), 2),
    }


def _groups(cases: list[Case]) -> Iterator[tuple[str, list[Case]]]:
    yield "all", cases
    rules: dict[str, Callable[[Case], bool]] = {
        "real": lambda c: not c.source.synthetic,
        "phantom": lambda c: c.source.synthetic,
        "solid": lambda c: c.source.type is NoduleType.SOLID,
        "subsolid": lambda c: c.source.type is not NoduleType.SOLID,
        "below 6 mm": lambda c: c.source.diameter_mm < 6,
        "6 to 10 mm": lambda c: 6 <= c.source.diameter_mm < 10,
        "10 mm or more": lambda c: c.source.diameter_mm >= 10,
        "slices up to 1.25 mm": lambda c: max(c.slices_mm) <= 1.25,
        "a slice above 1.25 mm": lambda c: max(c.slices_mm) > 1.25,
    }
    for name, rule in rules.items():
        if group := [case for case in cases if rule(case)]:
            yield name, group


def _pairing(hosts: list[Host]) -> dict[str, Any]:
    """All nodules of a host as one patient's; then every sixth in one scan only, to be called new or resolved."""
    right, alone_right, alone, total, ambiguous = 0, 0, 0, 0, 0
    for host in hosts:
        pairs = [(case.before, case.after) for case in host.cases if case.before and case.after]
        rows = _matched(host, [b for b, _ in pairs], [a for _, a in pairs])
        total += len(pairs)
        right += sum(row.prior_id == row.current_id for row in rows)
        ambiguous += sum(any(flag.code == "ambiguous_match" for flag in row.flags) for row in rows)
        before = [b for n, (b, _) in enumerate(pairs) if n % 6 != 0]
        after = [a for n, (_, a) in enumerate(pairs) if n % 6 != 1]
        single = {b.id for n, (b, _) in enumerate(pairs) if n % 6 in (0, 1)}
        rows = _matched(host, before, after)
        alone += len(single)
        alone_right += sum(
            (row.current_id or row.prior_id) in single and row.change in (Change.NEW, Change.RESOLVED) for row in rows
        )
    return {
        "pairs": total,
        "right": right,
        "share": round(right / max(total, 1), 4),
        "ambiguity_shown": ambiguous,
        "in_one_scan_only": alone,
        "called_new_or_resolved": alone_right,
    }


def _matched(host: Host, before: list[Nodule], after: list[Nodule]) -> tuple[NoduleMatch, ...]:
    def study(nodules: list[Nodule], ct: CtVolume, days: int) -> StudyFindings:
        series = replace(ct.series, series_uid=str(days), study_date=TODAY - timedelta(days))
        return StudyFindings(
            series, ct.geometry, LungSummary(0.0, 0.0, MODEL), tuple(nodules), Provenance("", "", "", "")
        )

    scan = host.scan.ct
    low = np.asarray(scan.geometry.origin_lps_mm) - host.breath.shift_lps_mm - 60  # wide enough for any breath
    grid = replace(scan.geometry, origin_lps_mm=tuple(float(v) for v in low))
    wide = replace(grid, shape_kji=tuple(2 * n for n in grid.shape_kji))  # type: ignore[arg-type]
    current = study(after, scan, 0)
    return match_nodules(study(before, scan, 365), replace(current, geometry=wide), host.registration)


def _registration(host: Host) -> dict[str, Any]:
    """Error of the product's registration at the nodules' places, in mm."""
    now = [host.breath.to_current(np.subtract(c.before.centroid_lps_mm, 0.0)) for c in host.cases if c.before]
    found = np.array([host.registration.to_prior_lps_mm(tuple(point)) for point in now])
    true = np.array([c.before.centroid_lps_mm for c in host.cases if c.before])
    error, start = np.linalg.norm(found - true, axis=1), np.linalg.norm(np.array(now) - true, axis=1)
    quality = host.registration.quality
    return {
        "scan": host.scan.name,
        "mean_mm_before": round(float(start.mean()), 2),
        "mean_mm": round(float(error.mean()), 2),
        "p95_mm": round(float(np.quantile(error, 0.95)), 2),
        "folding_fraction": quality.folding_fraction,
        "lung_dice": round(quality.lung_dice_after, 4),
        "processor_seconds": round(host.processor_seconds, 1),
        "flags": [flag.code for flag in host.registration.flags],
    }
