"""Everything the bundled models say of one outlined nodule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.classification.encoder import Answers, EncoderRunner, mirror_images
from LungNoduleCADLib.classification.fusion import MetaClassifier, fusion_inputs
from LungNoduleCADLib.classification.gradcam import explain
from LungNoduleCADLib.classification.radiomics import radiomic_features
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.nodule import HistologyEstimate, MalignancyEstimate, Nodule, NoduleType, TypeEstimate
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry

TYPES = (NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS)
HISTOLOGY_NOT_AVAILABLE = "histology is decided by tissue; no trained weights"
HISTOLOGY_HEADS = ("small_cell", "nsclc_subtype")


@dataclass(frozen=True)
class Characteriser:
    """The encoder with its calibration, and the meta-classifier where one is trained."""

    encoder: EncoderRunner
    encoder_bundle: Bundle
    fusion: MetaClassifier | None
    fusion_bundle: Bundle | None

    @classmethod
    def load(cls, device: str) -> Characteriser:
        """The bundled models; raises ModelError where the encoder is untrained or damaged."""
        encoder_bundle, fusion_bundle = find_bundle("nodule_ct_attributes"), find_bundle("nodule_fusion")
        fusion = MetaClassifier.from_bundle(fusion_bundle) if fusion_bundle.trained else None
        return cls(EncoderRunner.from_bundle(encoder_bundle, device), encoder_bundle, fusion, fusion_bundle)

    def methods(self) -> tuple[Method, ...]:
        return (
            self.encoder_bundle.method(),
            *((self.fusion_bundle.method(),) if self.fusion and self.fusion_bundle else ()),
        )

    def nodule_probability(self, patches_hu: list[np.ndarray]) -> np.ndarray:
        """Probability (N,) that the middle of each HU patch is a nodule."""
        return self.encoder.answer(patches_hu).probability("nodule", self._calibration("nodule"))

    def characterise(self, ct: CtVolume, nodule: Nodule) -> Nodule:
        """Type, malignancy, histology, radiomics and Grad-CAM of a nodule that was outlined and measured."""
        if nodule.mask is None or nodule.measurements is None:
            return replace(nodule, histology=HistologyEstimate(None, HISTOLOGY_NOT_AVAILABLE))
        grid = patch_geometry(nodule.centroid_lps_mm, self.encoder.size, self.encoder.spacing_mm)
        patch = network_patch(ct, grid)
        answers = self.encoder.answer(mirror_images(patch))
        radiomics = radiomic_features(ct, nodule.mask)
        return replace(
            nodule,
            type=self._type(answers),
            malignancy=self._malignancy(answers, nodule, radiomics),
            histology=HistologyEstimate(None, HISTOLOGY_NOT_AVAILABLE),
            radiomics=radiomics,
            saliency=explain(self.encoder, patch, grid, ct.geometry, "malignancy", self.encoder_bundle.method()),
        )

    def _calibration(self, head: str) -> dict[str, float]:
        return self.encoder_bundle.inference["calibration"].get(head, {})

    def _type(self, answers: Answers) -> TypeEstimate:
        probabilities = answers.probability("nodule_type", self._calibration("nodule_type")).mean(axis=0)
        return TypeEstimate(
            TYPES[int(probabilities.argmax())],
            {kind: round(float(p), 4) for kind, p in zip(TYPES, probabilities, strict=True)},
            self.encoder_bundle.method(),
        )

    def _malignancy(self, answers: Answers, nodule: Nodule, radiomics: dict[str, float] | None) -> MalignancyEstimate:
        """Probability by the meta-classifier (else the encoder), its spread over the mirror images as interval."""
        measurements = nodule.measurements
        views = answers.probability("malignancy", self._calibration("malignancy"))
        encoder_probability = float(expit(logit(np.clip(views, 1e-6, 1 - 1e-6)).mean()))
        probability, missing, method = encoder_probability, (), self.encoder_bundle.method()
        if self.fusion is not None and self.fusion_bundle is not None and measurements is not None:
            single = [
                Answers(
                    {name: values[n : n + 1] for name, values in answers.heads.items()}, answers.features[n : n + 1]
                )
                for n in range(len(views))
            ]
            inputs = [
                fusion_inputs(one, measurements, radiomics, self.fusion.principal_axes) for one in (answers, *single)
            ]
            probability, *rest = (self.fusion.probability(row) for row in inputs)
            views = np.asarray(rest)
            missing, method = self.fusion.missing(inputs[0]), self.fusion_bundle.method()
        spread = 1.96 * float(logit(np.clip(views, 1e-6, 1 - 1e-6)).std(ddof=1))
        centre = float(logit(np.clip(probability, 1e-6, 1 - 1e-6)))
        return MalignancyEstimate(
            probability=round(probability, 4),
            rating_1_to_5=round(float(answers.heads["malignancy_rating"].mean()), 2),
            mirrored_views_95=(round(float(expit(centre - spread)), 4), round(float(expit(centre + spread)), 4)),
            encoder_probability=round(encoder_probability, 4),
            method=method,
            missing_inputs=missing,
        )
