"""From rated places to the list of nodules: each outlined, measured and characterised once, under a name that lasts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import EditAction, OperatingPoint, RatedPlace, StudyFindings
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import Nodule, NoduleCandidate, Origin, Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag, Severity, less_model_doubts, model_doubts
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.nodules.detect import covers, rate_candidates, same_nodule
from LungNoduleCADLib.nodules.measure import measure_nodule

if TYPE_CHECKING:
    from LungNoduleCADLib.backends.detector import Detector, Segmenter
    from LungNoduleCADLib.classification.characterise import Characteriser
    from LungNoduleCADLib.nodules.detector import NoduleDetector
    from LungNoduleCADLib.nodules.segment import NoduleSegmenter

SMALLEST_DIAMETER_MM = 3.0
UNLIKELY_PROBABILITY = 0.2
LEAST_PROBABILITY = 0.05

NO_OUTLINE = QualityFlag(
    "no_outline",
    Severity.WARNING,
    "The segmentation model saw no nodule within 4 mm of the reader's point; nothing was measured.",
)
UNLIKELY = QualityFlag(
    "unlikely_nodule", Severity.WARNING, "The detection model does not take the reader's point for a nodule."
)
OVERLAPS = QualityFlag(
    "overlaps", Severity.WARNING, "The outline at the reader's point takes in part of another nodule of the list."
)


@dataclass(frozen=True)
class Models:
    """The bundled networks, loaded once, and what was chosen to take their place.

    ``detector``: where not ``None``, it finds the candidates. A candidate that it gives a probability keeps it.
    ``finder``: finds them otherwise; ``None``: the classical finder alone.
    """

    segmenter: NoduleSegmenter | Segmenter
    characteriser: Characteriser
    threshold: float
    detector: Detector | None = None
    finder: NoduleDetector | None = None

    @classmethod
    def load(
        cls,
        device: str,
        threshold: float | None = None,
        *,
        unseen_fold: int | None = None,
        detector: Detector | None = None,
        segmenter: Segmenter | None = None,
    ) -> Models:
        """The bundled models.

        Parameters
        ----------
        threshold : nodule probability from which a candidate is reported (default: the detector's or the bundle's).
        unseen_fold : only encoders and detectors that never saw this fold of their data, to measure them on it.
        detector, segmenter : in place of the bundled ones.
        """
        from LungNoduleCADLib.bundles.registry import find_bundle, models_folder
        from LungNoduleCADLib.classification.characterise import Characteriser
        from LungNoduleCADLib.nodules.detector import bundled_detector
        from LungNoduleCADLib.nodules.segment import NoduleSegmenter

        characteriser = Characteriser.load(device, unseen_fold=unseen_fold)
        default = characteriser.encoder_bundle.inference["operating_threshold"]
        if detector is not None and detector.threshold is not None:
            default = detector.threshold
        return cls(
            segmenter or NoduleSegmenter.from_bundle(find_bundle("nodule_ct_segmentation"), device),
            characteriser,
            default if threshold is None else threshold,
            detector,
            None if detector else bundled_detector(str(models_folder()), device, unseen_fold),
        )

    def find(self, ct: CtVolume, lungs: LungMask) -> list[NoduleCandidate]:
        """Places in the lungs where a nodule may be."""
        return (self.detector or self.finder or find_candidates)(ct, lungs)

    def methods(self) -> tuple[Method, ...]:
        """How results name them."""
        return (
            *(finder.method for finder in (self.detector, self.finder) if finder is not None),
            self.segmenter.method,
            *self.characteriser.methods(),
        )

    def flags(self) -> tuple[QualityFlag, ...]:
        """What the reader must know: of a detector from elsewhere, and of a device that did not do."""
        at_work = (self.segmenter, self.characteriser.encoder, self.detector or self.finder)
        placed = [flag for model in at_work for flag in getattr(getattr(model, "placed", None), "flags", ())]
        troubles = tuple({flag.code: flag for flag in placed}.values())
        return (*self._other_detector(), *troubles)

    def _other_detector(self) -> tuple[QualityFlag, ...]:
        if self.detector is None:
            return ()
        name = f"{self.detector.method.name} {self.detector.method.version}"
        message = f"Nodules were looked for by {name}, chosen for this run; no operating point of it was measured here."
        return (QualityFlag("other_detector", Severity.WARNING, message),)

    def operating_points(self) -> tuple[tuple[OperatingPoint, ...], str]:
        """What each threshold was measured to give, and on what; nothing where the bundle does not say."""
        if self.detector is not None:
            return (), ""
        measured = self.characteriser.encoder_bundle.inference.get("operating_points", {})
        points = tuple(OperatingPoint(**point) for point in measured.get("points", ()))
        return points, measured.get("source", "")


class Looks:
    """What the models see at places of one scan; a place is looked at once and remembered.

    Parameters
    ----------
    models : called when they are first needed.
    known : nodules that they saw before.
    """

    def __init__(
        self, ct: CtVolume, lungs: LungMask, models: Callable[[], Models], known: Sequence[Nodule] = ()
    ) -> None:
        self.ct, self.lungs, self._models = ct, lungs, models
        self._probabilities: dict[Point, float] = {}
        self._characterised = {nodule.candidate.centre_lps_mm: nodule for nodule in known}
        self._outlined: dict[Point, Nodule | None] = dict(self._characterised)

    def rated(
        self, candidates: Sequence[NoduleCandidate], report: Callable[[float], None] = lambda _: None
    ) -> list[NoduleCandidate]:
        """Each with the probability that it is a nodule (to 0.0001, at a place to 0.01 mm), most probable first.

        One that has a probability keeps it.
        """
        places = [replace(c, centre_lps_mm=rounded_place(c.centre_lps_mm)) for c in candidates]
        self._probabilities |= {c.centre_lps_mm: round(c.probability, 4) for c in places if c.probability is not None}
        unknown = [c for c in places if c.centre_lps_mm not in self._probabilities]
        if unknown:
            characteriser = self._models().characteriser
            encoder = characteriser.encoder
            answered = rate_candidates(
                self.ct, unknown, characteriser.nodule_probability, encoder.size, encoder.spacing_mm, report
            )
            self._probabilities |= {c.centre_lps_mm: round(c.probability or 0.0, 4) for c in answered}
        return sorted(
            (replace(c, probability=self._probabilities[c.centre_lps_mm]) for c in places),
            key=lambda c: -(c.probability or 0.0),
        )

    def outlined(self, point: Point) -> Nodule | None:
        """The nodule (without a name) at a point, with outline and sizes; ``None`` where none is seen."""
        if point not in self._outlined:
            mask = self._models().segmenter.segment(self.ct, point)
            self._outlined[point] = mask and Nodule(
                "",
                NoduleCandidate(point, probability=self._probabilities.get(point)),
                mask.centroid_lps_mm(),
                mask,
                measure_nodule(self.ct, self.lungs, mask),
            )
        return self._outlined[point]

    def characterised(self, nodule: Nodule) -> Nodule:
        """The nodule with all that the models say of its outline."""
        point = nodule.candidate.centre_lps_mm
        seen = self._outlined.get(point)
        if seen is None or seen.mask is not nodule.mask:
            return self._models().characteriser.characterise(self.ct, nodule)
        if point not in self._characterised:
            asked = replace(seen, candidate=nodule.candidate)
            self._characterised[point] = self._models().characteriser.characterise(self.ct, asked)
        known = self._characterised[point]
        return replace(
            known,
            id=nodule.id,
            candidate=replace(nodule.candidate, spread_95=known.candidate.spread_95),
            flags=(*less_model_doubts(nodule.flags), *model_doubts(known.flags)),
            centroid_lps_mm=nodule.centroid_lps_mm,
        )

    def has_outlined(self, point: Point) -> bool:
        """Whether an outline was looked for at a place."""
        return point in self._outlined

    def knows(self, point: Point) -> bool:
        """Whether all that a list needs of a place was looked at."""
        if point not in self._outlined:
            return False
        nodule = self._outlined[point]
        return nodule is None or point in self._characterised or _too_small(nodule)

    def look(self, point: Point) -> None:
        """One step, of a fraction of a second, towards knowing a place."""
        if point not in self._probabilities:
            self.rated([NoduleCandidate(point)])
        elif point not in self._outlined:
            self.outlined(point)
        elif (nodule := self._outlined[point]) is not None:
            self.characterised(nodule)


def with_candidates(
    nodules: Sequence[Nodule],
    candidates: Sequence[NoduleCandidate],
    looks: Looks,
    report: Callable[[float], None] = lambda _: None,
) -> list[Nodule]:
    """The nodules, and one more (nameless, not yet characterised) for each candidate that is a nodule of its own.

    A reader's point stays even where nothing can be outlined; in a nodule of the list it makes that one the reader's.
    """
    found = list(nodules)
    for number, candidate in enumerate(candidates):
        report((number + 1) / len(candidates))
        clicked = candidate.origin is Origin.READER
        here = next((n for n, o in enumerate(found) if o.mask and covers(o.mask, candidate.centre_lps_mm)), None)
        if here is not None:
            if clicked:
                found[here] = replace(found[here], candidate=replace(found[here].candidate, origin=Origin.READER))
            continue
        nodule = looks.outlined(candidate.centre_lps_mm)
        if nodule is None:
            if clicked:
                found.append(Nodule("", candidate, candidate.centre_lps_mm, flags=(NO_OUTLINE,)))
            continue
        overlaps = any(same_nodule(nodule.mask, other.mask) for other in found if other.mask)  # type: ignore[arg-type]
        if not clicked and (overlaps or _too_small(nodule)):
            continue
        flags = (*((OVERLAPS,) if overlaps else ()), *((UNLIKELY,) if clicked and _unlikely(candidate) else ()))
        diameter_mm = candidate.diameter_mm or nodule.candidate.diameter_mm
        found.append(replace(nodule, candidate=replace(candidate, diameter_mm=diameter_mm), flags=flags))
    return found


def by_suspicion(nodules: Sequence[Nodule]) -> tuple[Nodule, ...]:
    """Most suspicious first, named N1, N2, …."""

    def suspicion(nodule: Nodule) -> tuple[float, float]:
        malignancy = nodule.malignancy.probability if nodule.malignancy else None
        return -(malignancy or 0.0), -(nodule.measurements.volume_mm3 if nodule.measurements else 0.0)

    return tuple(replace(nodule, id=f"N{n}") for n, nodule in enumerate(sorted(nodules, key=suspicion), 1))


def rated_places(rated: Sequence[NoduleCandidate], nodules: Sequence[Nodule] = ()) -> tuple[RatedPlace, ...]:
    """The places worth keeping, with the names of the nodules that were made of them."""
    places = tuple(
        RatedPlace(c.centre_lps_mm, c.probability or 0.0) for c in rated if (c.probability or 0.0) >= LEAST_PROBABILITY
    )
    for nodule in nodules:
        places = _with_name(places, nodule)
    return places


def joined(findings: StudyFindings, nameless: Sequence[Nodule]) -> StudyFindings:
    """The findings with more nodules, each under the name that its place had before or else under a new one."""
    listed = {nodule.id for nodule in findings.nodules}
    for nodule in nameless:
        known = (
            place.nodule_id
            for place in findings.candidates
            if place.nodule_id and place.nodule_id not in listed | deleted(findings) and _is_at(nodule, place)
        )
        named = replace(nodule, id=next(known, None) or _new_name(findings))
        listed.add(named.id)
        findings = replace(
            findings,
            nodules=tuple(sorted((*findings.nodules, named), key=_order)),
            candidates=_with_name(findings.candidates, named),
        )
    return findings


def without(findings: StudyFindings, nodule: Nodule) -> StudyFindings:
    """The findings less a nodule; the places in it keep its name, so that nothing else is found there."""
    places = tuple(
        replace(place, nodule_id=nodule.id) if place.nodule_id is None and _is_at(nodule, place) else place
        for place in _with_name(findings.candidates, nodule)
    )
    return replace(findings, nodules=tuple(n for n in findings.nodules if n.id != nodule.id), candidates=places)


def deleted(findings: StudyFindings) -> frozenset[str]:
    """Names of the nodules that a reader took off the list; they never come back by themselves."""
    return frozenset(edit.nodule_id for edit in findings.edits if edit.action is EditAction.DELETE and edit.nodule_id)


def was_deleted(findings: StudyFindings, nodule: Nodule) -> bool:
    """Whether the nodule lies where a reader deleted one."""
    gone = deleted(findings)
    return any(place.nodule_id in gone and _is_at(nodule, place) for place in findings.candidates)


def _is_at(nodule: Nodule, place: RatedPlace) -> bool:
    if nodule.candidate.centre_lps_mm == place.centre_lps_mm:
        return True
    return nodule.mask is not None and covers(nodule.mask, place.centre_lps_mm)


def _with_name(places: tuple[RatedPlace, ...], nodule: Nodule) -> tuple[RatedPlace, ...]:
    """The places with the nodule's name at its own, which is put among them if it was rated and is not there yet."""
    centre, probability = nodule.candidate.centre_lps_mm, nodule.candidate.probability
    if any(place.centre_lps_mm == centre for place in places):
        return tuple(replace(p, nodule_id=nodule.id) if p.centre_lps_mm == centre else p for p in places)
    if probability is None or probability < LEAST_PROBABILITY:
        return places
    own = RatedPlace(centre, probability, nodule.id, nodule.candidate.origin)
    return tuple(sorted((*places, own), key=lambda p: -p.probability))


def _new_name(findings: StudyFindings) -> str:
    used = {nodule.id for nodule in findings.nodules} | {place.nodule_id for place in findings.candidates}
    used |= {edit.nodule_id for edit in findings.edits}
    numbers = [int(name[1:]) for name in used if name and name[:1] == "N" and name[1:].isdecimal()]
    return f"N{max(numbers, default=0) + 1}"


def _order(nodule: Nodule) -> tuple[int, str]:
    """N2 before N10."""
    return len(nodule.id), nodule.id


def _too_small(nodule: Nodule) -> bool:
    return nodule.measurements is None or nodule.measurements.axes.mean_diameter_mm < SMALLEST_DIAMETER_MM


def _unlikely(candidate: NoduleCandidate) -> bool:
    return candidate.probability is not None and candidate.probability < UNLIKELY_PROBABILITY


def rounded_place(point: Point) -> Point:
    """To 0.01 mm, as places are kept."""
    return tuple(round(float(v), 2) for v in point)  # type: ignore[return-value]
