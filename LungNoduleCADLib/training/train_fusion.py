"""Recipe of ``nodule_fusion``: the meta-classifier, on nodules that the encoder was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from LungNoduleCADLib.classification.encoder import Answers, EncoderRunner, mirror_images
from LungNoduleCADLib.classification.fusion import fusion_inputs
from LungNoduleCADLib.classification.radiomics import radiomic_features
from LungNoduleCADLib.domain.nodule import Measurements
from LungNoduleCADLib.evaluation.calibration import apply_platt, brier, fit_platt
from LungNoduleCADLib.evaluation.discrimination import auc
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry
from LungNoduleCADLib.nodules.measure import measure_nodule
from LungNoduleCADLib.nodules.segment import NoduleSegmenter
from LungNoduleCADLib.training.cases import POINT, NoduleCase
from LungNoduleCADLib.training.nodule_pack import PackNodule


@dataclass(frozen=True)
class Observation:
    """What the pipeline saw of one pack nodule."""

    nodule: PackNodule
    answers: Answers
    measurements: Measurements
    radiomics: dict[str, float] | None


def observe(cases: Iterator[NoduleCase], encoder: EncoderRunner, segmenter: NoduleSegmenter) -> Iterator[Observation]:
    """Run the product's own stages on cases; a nodule that cannot be outlined is left out."""
    for case in cases:
        mask = segmenter.segment(case.ct, POINT)
        if mask is None:
            continue
        grid = patch_geometry(mask.centroid_lps_mm(), encoder.size, encoder.spacing_mm)
        answers = encoder.answer(mirror_images(network_patch(case.ct, grid)))
        measured = measure_nodule(case.ct, case.lungs, mask)
        yield Observation(case.nodule, answers, measured, radiomic_features(case.ct, mask))


def train_fusion(
    observations: list[Observation], recipe: dict[str, Any], bundle: Path, report: Callable[[str], None]
) -> dict[str, Any]:
    """Fit, compare by patient-wise cross-validation, calibrate on out-of-fold answers; returns ``inference.json``."""
    import xgboost
    from safetensors.numpy import save_file

    decided = [o for o in observations if o.nodule.median("malignancy") != 3]
    y = np.array([o.nodule.median("malignancy") > 3 for o in decided], float)
    weight = np.array([0.4 + 0.15 * o.nodule.n_readers for o in decided])
    patients = np.array([o.nodule.patient_id for o in decided])
    pca = PCA(recipe["principal_axes"], random_state=0).fit(
        np.stack([o.answers.features.mean(0) for o in observations])
    )
    axes = {"mean": pca.mean_.astype(np.float32), "components": pca.components_.astype(np.float32)}
    rows = [fusion_inputs(o.answers, o.measurements, o.radiomics, axes) for o in decided]
    names = sorted({name for row in rows for name in row})
    x = np.array([[row.get(name, np.nan) for name in names] for row in rows], np.float32)
    folds = list(GroupKFold(recipe["cross_validation"]).split(x, y, patients))

    def boosted(train: np.ndarray) -> xgboost.Booster:
        data = xgboost.DMatrix(x[train], y[train], weight=weight[train], feature_names=names)
        return xgboost.train(
            {**recipe["xgboost"], "objective": "binary:logistic", "nthread": 2, "seed": recipe["seed"]},
            data,
            recipe["rounds"],
        )

    margin, linear = np.zeros(len(y)), np.zeros(len(y))
    for train, held in folds:
        margin[held] = boosted(train).predict(xgboost.DMatrix(x[held], feature_names=names), output_margin=True)
        model = make_pipeline(
            SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(C=0.02, max_iter=2000)
        )
        model.fit(x[train], y[train], logisticregression__sample_weight=weight[train])
        linear[held] = model.predict_proba(x[held])[:, 1]
    encoder = np.array([o.answers.heads["malignancy"].mean() for o in decided])
    calibration = fit_platt(y, margin)
    comparison = {
        "xgboost_auc": auc(y, margin),
        "xgboost_brier": brier(y, apply_platt(margin, calibration)),
        "logistic_regression_auc": auc(y, linear),
        "logistic_regression_brier": brier(y, linear),
        "encoder_auc": auc(y, encoder),
        "encoder_brier": brier(y, apply_platt(encoder, fit_platt(y, encoder))),
        "log_volume_auc": auc(y, x[:, names.index("size.log_volume")]),
        "nodules": len(y),
    }
    report(" ".join(f"{name} {value:.4g}" for name, value in comparison.items()))
    (bundle / "models").mkdir(parents=True, exist_ok=True)
    boosted(np.arange(len(y))).save_model(bundle / "models/model.json")
    save_file(axes, bundle / "models/principal_axes.safetensors")
    return {"network": "xgboost", "inputs": names, "calibration": calibration, "validation_comparison": comparison}
