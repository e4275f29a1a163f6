"""The meta-classifier: deep features, the encoder's answers, sizes and radiomics to one calibrated probability."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import checked_file, load_tensors
from LungNoduleCADLib.classification.encoder import Answers
from LungNoduleCADLib.domain.nodule import Measurements
from LungNoduleCADLib.errors import ModelError
from LungNoduleCADLib.networks.nodule_encoder import HEADS

RADIOMICS_PREFIX = "radiomics."


def fusion_inputs(
    answers: Answers,
    measurements: Measurements,
    radiomics: dict[str, float] | None,
    principal_axes: dict[str, np.ndarray],
) -> dict[str, float]:
    """Named inputs of one nodule from the answers to its views (averaged), its sizes and its radiomics.

    Parameters
    ----------
    principal_axes : ``mean`` (F,) and ``components`` (P, F) that shorten the encoder's features.
    """
    inputs = {}
    for head in HEADS:
        if head.name in ("small_cell", "nsclc_subtype"):
            continue
        for n, value in enumerate(answers.heads[head.name].mean(axis=0)):
            inputs[f"encoder.{head.name}.{n}"] = float(value)
    shortened = (answers.features.mean(axis=0) - principal_axes["mean"]) @ principal_axes["components"].T
    inputs |= {f"encoder.feature.{n}": float(value) for n, value in enumerate(shortened)}
    inputs |= {
        "size.log_volume": float(np.log(max(measurements.volume_mm3, 1.0))),
        "size.long_axis_mm": measurements.axes.long_axis_mm,
        "size.short_axis_mm": measurements.axes.short_axis_mm,
        "density.mean_hu": measurements.mean_hu,
    }
    return inputs | {RADIOMICS_PREFIX + name: value for name, value in (radiomics or {}).items()}


class MetaClassifier:
    """XGBoost on named inputs, then Platt calibration; a missing input goes in as missing, never as zero."""

    def __init__(
        self, booster: Any, names: list[str], calibration: dict[str, float], axes: dict[str, np.ndarray]
    ) -> None:
        self._booster, self.names, self._calibration, self.principal_axes = booster, names, calibration, axes

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> MetaClassifier:
        """Raises ModelError where the bundle is untrained or damaged."""
        import xgboost

        if not bundle.trained:
            raise ModelError(f"{bundle.name} has no trained weights", todo="train it (see its card)")
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(checked_file(bundle, "models/model.json"))
        axes = {
            name: tensor.numpy() for name, tensor in load_tensors(bundle, "models/principal_axes.safetensors").items()
        }
        return cls(booster, bundle.inference["inputs"], bundle.inference["calibration"], axes)

    def probability(self, inputs: dict[str, float]) -> float:
        """Calibrated probability from named inputs."""
        import xgboost

        row = np.array([[inputs.get(name, np.nan) for name in self.names]], np.float32)
        margin = float(self._booster.predict(xgboost.DMatrix(row, feature_names=self.names), output_margin=True)[0])
        return float(expit(self._calibration["slope"] * margin + self._calibration["offset"]))

    def missing(self, inputs: dict[str, float]) -> tuple[str, ...]:
        """Groups of inputs (``radiomics``) of which something is missing."""
        return tuple(sorted({name.split(".")[0] for name in self.names if name not in inputs}))
