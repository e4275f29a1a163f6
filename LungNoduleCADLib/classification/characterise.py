"""Everything the bundled models say of one outlined nodule, and how far they can be trusted with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.classification.encoder import Answers, EncoderRunner, mean_answers
from LungNoduleCADLib.classification.familiarity import Familiarity, doubts
from LungNoduleCADLib.classification.fusion import MetaClassifier, TypeClassifier, fusion_inputs
from LungNoduleCADLib.classification.gradcam import doubts_of_map, explain_malignancy, look
from LungNoduleCADLib.classification.radiomics import radiomic_features
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.nodule import (
    HistologyEstimate,
    MalignancyEstimate,
    Measurements,
    Nodule,
    NoduleCandidate,
    NoduleType,
    TypeEstimate,
)
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import less_model_doubts
from LungNoduleCADLib.evaluation.calibration import apply
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry

TYPES = (NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS)
HISTOLOGY_NOT_AVAILABLE = "histology is decided by tissue; no trained weights"
HISTOLOGY_HEADS = ("small_cell", "nsclc_subtype")


@dataclass(frozen=True)
class Characteriser:
    """The encoder with its calibration and what it knows, and the meta-classifier where one is trained."""

    encoder: EncoderRunner
    encoder_bundle: Bundle
    fusion: MetaClassifier | None
    fusion_bundle: Bundle | None
    familiarity: Familiarity | None = None
    types: TypeClassifier | None = None

    @classmethod
    def load(cls, device: str, *, unseen_fold: int | None = None) -> Characteriser:
        """The bundled models (of the encoder, only members that never saw a fold).

        Raises ModelError where the encoder is untrained or damaged.
        """
        encoder_bundle, fusion_bundle = find_bundle("nodule_ct_attributes"), find_bundle("nodule_fusion")
        fusion = MetaClassifier.from_bundle(fusion_bundle) if fusion_bundle.trained else None
        types = TypeClassifier.from_bundle(fusion_bundle) if fusion_bundle.trained else None
        encoder = EncoderRunner.from_bundle(encoder_bundle, device, unseen_fold=unseen_fold)
        familiarity = Familiarity.from_bundle(encoder_bundle, unseen_fold)
        return cls(encoder, encoder_bundle, fusion, fusion_bundle, familiarity, types)

    def methods(self) -> tuple[Method, ...]:
        return (
            self.encoder_bundle.method(),
            *((self.fusion_bundle.method(),) if self.fusion and self.fusion_bundle else ()),
        )

    def nodule_probability(self, patches_hu: list[np.ndarray]) -> np.ndarray:
        """Probability (N,) that the middle of each HU patch is a nodule."""
        return self.encoder.answer(patches_hu).probability("nodule", self._calibration("nodule"))

    def characterise(self, ct: CtVolume, nodule: Nodule) -> Nodule:
        """Type, malignancy, histology, radiomics and heat map of a nodule that was outlined and measured.

        Its flags come back with what speaks against these answers.
        """
        if nodule.mask is None or nodule.measurements is None:
            return replace(nodule, histology=HistologyEstimate(None, HISTOLOGY_NOT_AVAILABLE))
        grid = patch_geometry(nodule.centroid_lps_mm, self.encoder.size, self.encoder.spacing_mm)
        patch = network_patch(ct, grid)
        seen = look(self.encoder, patch)
        members = seen.answers
        radiomics = radiomic_features(ct, nodule.mask)
        malignancy, by_network = self._malignancy(members, nodule.measurements, radiomics)
        saliency = explain_malignancy(seen, grid, ct.geometry, malignancy, self.encoder_bundle.method())
        unfamiliarity = self._unfamiliarity(patch, members)
        return replace(
            nodule,
            candidate=self._with_spread(nodule.candidate, members),
            type=self._type(members, nodule.measurements, radiomics),
            malignancy=malignancy,
            histology=HistologyEstimate(None, HISTOLOGY_NOT_AVAILABLE),
            radiomics=radiomics,
            saliency=saliency,
            unfamiliarity=unfamiliarity,
            flags=(
                *less_model_doubts(nodule.flags),
                *doubts(unfamiliarity, by_network, nodule.candidate.probability),
                *(doubts_of_map(saliency, nodule.mask) if saliency else ()),
            ),
        )

    def _calibration(self, head: str) -> dict[str, Any]:
        return self.encoder_bundle.inference["calibration"].get(head, {})

    def _unfamiliarity(self, patch_hu: np.ndarray, members: Sequence[Answers]) -> float | None:
        """Of the patch as it lies, the first of its mirror images."""
        if self.familiarity is None:
            return None
        (distance,) = self.familiarity.unfamiliarity([patch_hu], [_one_view(member, 0) for member in members])
        return round(float(distance), 3)

    def _with_spread(self, candidate: NoduleCandidate, members: Sequence[Answers]) -> NoduleCandidate:
        """The candidate's probability with the spread of the answers where its outline's centre is."""
        if candidate.probability is None:
            return candidate
        views = [member.probability("nodule", self._calibration("nodule")) for member in members]
        return replace(candidate, spread_95=spread_95(candidate.probability, np.concatenate(views)))

    def _type(
        self, members: Sequence[Answers], measurements: Measurements, radiomics: dict[str, float] | None
    ) -> TypeEstimate:
        """By the meta-classifier, else by the encoder."""
        calibrated, answers = self._calibration("nodule_type"), mean_answers(members)
        if self.types is None or self.fusion_bundle is None:
            method = self.encoder_bundle.method()
            probabilities = answers.probability("nodule_type", calibrated).mean(axis=0)
            views = np.concatenate([member.probability("nodule_type", calibrated) for member in members])
        else:
            method, seen = self.fusion_bundle.method(), (answers, *_single_views(members))
            probabilities, *each = (
                self.types.probabilities(fusion_inputs(one, measurements, radiomics)) for one in seen
            )
            views = np.array(each)
        return TypeEstimate(
            TYPES[int(probabilities.argmax())],
            {kind: round(float(p), 4) for kind, p in zip(TYPES, probabilities, strict=True)},
            method,
            {kind: spread_95(p, v) for kind, p, v in zip(TYPES, probabilities, views.T, strict=True)},
        )

    def _malignancy(
        self, members: Sequence[Answers], measurements: Measurements, radiomics: dict[str, float] | None
    ) -> tuple[MalignancyEstimate, np.ndarray]:
        """By the meta-classifier (else the encoder), and the probability by each network alone."""
        answers, calibrated = mean_answers(members), self._calibration("malignancy")
        encoder_probability = float(apply(answers.heads["malignancy"].mean(axis=0), calibrated)[0])
        single = _single_views(members)
        if self.fusion is None or self.fusion_bundle is None:
            missing, method = (), self.encoder_bundle.method()
            probability, *views = (
                float(apply(a.heads["malignancy"].mean(axis=0), calibrated)[0]) for a in (answers, *single)
            )
        else:
            inputs = [fusion_inputs(one, measurements, radiomics) for one in (answers, *single)]
            missing, method = self.fusion.missing(inputs[0]), self.fusion_bundle.method()
            probability, *views = (self.fusion.probability(row) for row in inputs)
        estimate = MalignancyEstimate(
            probability=round(probability, 4),
            rating_1_to_5=round(float(answers.heads["malignancy_rating"].mean()), 2),
            spread_95=spread_95(probability, np.array(views)),
            encoder_probability=round(encoder_probability, 4),
            method=method,
            missing_inputs=missing,
        )
        return estimate, np.reshape(views, (len(members), -1)).mean(axis=1)


def spread_95(probability: float, views: np.ndarray) -> tuple[float, float]:
    """Where the central 95 % of what each network says of each view (N,) lies; the probability itself is within."""
    low, high = np.percentile(views, [2.5, 97.5])
    return round(float(min(low, probability)), 4), round(float(max(high, probability)), 4)


def _single_views(members: Sequence[Answers]) -> list[Answers]:
    return [_one_view(member, n) for member in members for n in range(len(member.features))]


def _one_view(answers: Answers, n: int) -> Answers:
    return Answers({name: values[n : n + 1] for name, values in answers.heads.items()}, answers.features[n : n + 1])
