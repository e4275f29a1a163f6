"""The meta-classifiers: the encoder's answers, sizes and radiomics to malignancy and to the type of a nodule."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import checked_file
from LungNoduleCADLib.classification.encoder import Answers
from LungNoduleCADLib.domain.nodule import Measurements
from LungNoduleCADLib.errors import ModelError
from LungNoduleCADLib.evaluation.calibration import apply
from LungNoduleCADLib.networks.nodule_encoder import HEADS

RADIOMICS_PREFIX = "radiomics."
LINEAR, TREES = "logistic regression", "xgboost"
TYPE_FILE = "models/type_regression.json"
TYPE_INPUTS = (
    "encoder.nodule_type.0",
    "encoder.nodule_type.1",
    "encoder.nodule_type.2",
    "size.log_volume",
    "density.mean_hu",
    "density.solid_share",
)


def fusion_inputs(answers: Answers, measurements: Measurements, radiomics: dict[str, float] | None) -> dict[str, float]:
    """Named inputs of one nodule from the answers to its views (averaged), its sizes and its radiomics."""
    inputs = {}
    for head in HEADS:
        if head.name in ("small_cell", "nsclc_subtype"):
            continue
        for n, value in enumerate(answers.heads[head.name].mean(axis=0)):
            inputs[f"encoder.{head.name}.{n}"] = float(value)
    inputs |= {
        "size.log_volume": float(np.log(max(measurements.volume_mm3, 1.0))),
        "size.long_axis_mm": measurements.axes.long_axis_mm,
        "size.short_axis_mm": measurements.axes.short_axis_mm,
        "density.mean_hu": measurements.mean_hu,
        "density.solid_share": (measurements.solid_volume_mm3 or 0.0) / max(measurements.volume_mm3, 1.0),
    }
    return inputs | {RADIOMICS_PREFIX + name: value for name, value in (radiomics or {}).items()}


class MetaClassifier:
    """Logistic regression, XGBoost or the mean of their logits on named inputs, then calibrated.

    A missing input goes into the trees as missing and into the regression as its median in training; never as zero.
    """

    def __init__(
        self, kind: str, names: list[str], linear: dict[str, dict[str, float]], trees: Any, calibration: dict[str, Any]
    ) -> None:
        self.kind, self.names, self.calibration = kind, names, calibration
        self._linear, self._trees = linear, trees

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> MetaClassifier:
        """Raises ModelError where the bundle is untrained or damaged."""
        import xgboost

        if not bundle.trained:
            raise ModelError(f"{bundle.name} has no trained weights", todo="train it (see its card)")
        trees = xgboost.Booster({"nthread": 1})
        trees.load_model(checked_file(bundle, "models/xgboost.json"))
        linear = json.loads(checked_file(bundle, "models/logistic_regression.json").read_text(encoding="utf-8"))
        inference = bundle.inference
        return cls(inference["network"], inference["inputs"], linear, trees, inference["calibration"])

    def probability(self, inputs: dict[str, float]) -> float:
        """Calibrated probability from named inputs."""
        return float(apply(np.array([self.logit(inputs)]), self.calibration)[0])

    def logit(self, inputs: dict[str, float]) -> float:
        """What is calibrated: without the ties that a calibration may make."""
        margins = []
        if self.kind != TREES:
            margins.append(self._linear_margin(inputs))
        if self.kind != LINEAR:
            margins.append(self._trees_margin(inputs))
        return float(np.mean(margins))

    def missing(self, inputs: dict[str, float]) -> tuple[str, ...]:
        """Groups of inputs (``radiomics``) of which something is missing."""
        return tuple(sorted({name.split(".")[0] for name in self.names if name not in inputs}))

    def _linear_margin(self, inputs: dict[str, float]) -> float:
        margin = self._linear[""]["weight"]
        for name in self.names:
            term = self._linear[name]
            value = inputs.get(name, np.nan)
            value = term["median"] if np.isnan(value) else value
            margin += term["weight"] * (value - term["mean"]) / term["scale"]
        return margin

    def _trees_margin(self, inputs: dict[str, float]) -> float:
        import xgboost

        row = np.array([[inputs.get(name, np.nan) for name in self.names]], np.float32)
        return float(self._trees.predict(xgboost.DMatrix(row, feature_names=self.names), output_margin=True)[0])


class TypeClassifier:
    """Solid, part-solid or ground-glass: multinomial logistic regression on the encoder's answer, size and densities.

    Fitted as if the three types were equally frequent, which is what its probabilities assume; a missing input counts
    as its median in training.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self._terms = [model["inputs"][name] for name in TYPE_INPUTS]
        self._weights, self._intercepts = np.array(model["weights"]), np.array(model["intercepts"])

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> TypeClassifier | None:
        """``None`` where the bundle has none. Raises ModelError where it is damaged."""
        if TYPE_FILE not in bundle.weight_files:
            return None
        return cls(json.loads(checked_file(bundle, TYPE_FILE).read_text(encoding="utf-8")))

    def probabilities(self, inputs: dict[str, float]) -> np.ndarray:
        """(3,) of solid, part-solid, ground-glass."""
        values = [inputs.get(name, term["median"]) for name, term in zip(TYPE_INPUTS, self._terms, strict=True)]
        scaled = [(v - term["mean"]) / term["scale"] for v, term in zip(values, self._terms, strict=True)]
        margins = self._weights @ np.array(scaled) + self._intercepts
        odds = np.exp(margins - margins.max())
        return odds / odds.sum()
