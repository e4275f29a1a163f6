"""Recipe of ``nodule_fusion``: the meta-classifier, on what the networks say of nodules that they never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.classification.encoder import Answers, EncoderRunner, mirror_images
from LungNoduleCADLib.classification.fusion import LINEAR, TREES, TYPE_FILE, TYPE_INPUTS, fusion_inputs
from LungNoduleCADLib.classification.radiomics import radiomic_features
from LungNoduleCADLib.domain.nodule import Measurements
from LungNoduleCADLib.evaluation import calibration
from LungNoduleCADLib.evaluation.discrimination import auc, balanced_accuracy
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry
from LungNoduleCADLib.nodules.measure import measure_nodule
from LungNoduleCADLib.nodules.segment import NoduleSegmenter
from LungNoduleCADLib.training.cases import POINT, NoduleCase, nodule_cases
from LungNoduleCADLib.training.data import PackNodule, TrainingData
from LungNoduleCADLib.training.export import write_json
from LungNoduleCADLib.training.labels import TYPES, reference_type, suspicious_share
from LungNoduleCADLib.training.prepare import donors_of, load_scans


@dataclass(frozen=True)
class Observation:
    """What the pipeline saw of one pack nodule."""

    nodule: PackNodule
    answers: Answers
    measurements: Measurements
    radiomics: dict[str, float] | None


def unseen_models(fold: int | None, device: str) -> tuple[EncoderRunner, NoduleSegmenter]:
    """The bundled encoder and segmenter, only members that never saw a fold."""
    encoder = EncoderRunner.from_bundle(find_bundle("nodule_ct_attributes"), device, unseen_fold=fold)
    return encoder, NoduleSegmenter.from_bundle(find_bundle("nodule_ct_segmentation"), device, unseen_fold=fold)


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


def observe_unseen(
    data: TrainingData, recipe: dict[str, Any], device: str, report: Callable[[str], None]
) -> list[Observation]:
    """Every nodule of the recipe's folds, seen by members that were trained without its fold."""
    donors = donors_of(load_scans(data, recipe, report))
    seen: list[Observation] = []
    for fold in recipe["folds"]["cross_fitted"]:
        around = [donor for other, of_fold in donors.items() if other != fold for donor in of_fold]
        nodules = data.of_folds((fold,), lambda n: n.n_readers >= recipe["least_readers"])
        cases = nodule_cases(data, nodules, around, recipe["seed"])
        seen += observe(cases, *unseen_models(fold, device))
        report(f"fold {fold}: {len(seen)} nodules observed so far")
    return seen


def train_fusion(
    observations: list[Observation], recipe: dict[str, Any], bundle: Path, report: Callable[[str], None]
) -> dict[str, Any]:
    """Fit both classifiers, compare them by patient-wise cross-validation, keep the better; returns ``inference.json``.

    They learn the share of readers who suspect malignancy, as the encoder does, from indeterminate nodules too. The
    better is that with the lower Brier score after calibration; the kind of calibration is chosen on out-of-fold
    answers, too.
    """
    medians = np.array([o.nodule.median("malignancy") for o in observations])
    share = np.array([suspicious_share(o.nodule.ratings["malignancy"]) for o in observations])
    weight = np.array([0.4 + 0.15 * o.nodule.n_readers for o in observations])
    patients = np.array([o.nodule.patient_id for o in observations])
    rows = [fusion_inputs(o.answers, o.measurements, o.radiomics) for o in observations]
    names = sorted({name for row in rows for name in row})
    x = np.array([[row.get(name, np.nan) for name in names] for row in rows], np.float32)
    margins = {LINEAR: np.zeros(len(x)), TREES: np.zeros(len(x))}
    for train, held in GroupKFold(recipe["cross_validation"]).split(x, groups=patients):
        linear = _linear(recipe, names, x[train], share[train], weight[train])
        margins[LINEAR][held] = linear.decision_function(x[held])
        trees = _trees(x[train], share[train], weight[train], names, recipe)
        margins[TREES][held] = _margin(trees, x[held], names)
    margins["mean of both"] = (margins[LINEAR] + margins[TREES]) / 2
    single = {
        "encoder": np.array([o.answers.heads["malignancy"].mean() for o in observations]),
        "rating": np.array([o.answers.heads["malignancy_rating"].mean() for o in observations]),
        "log_volume": x[:, names.index("size.log_volume")].astype(float),
    }
    clear = np.array([o.nodule.n_readers >= 3 for o in observations])
    decided, suspicious = clear & (medians != 3), (medians > 3).astype(float)
    from_3 = np.array([o.nodule.mean("malignancy") >= 3 for o in observations])
    comparison: dict[str, Any] = {"nodules": len(x), "of_at_least_3_readers": int(clear.sum())}
    chosen: dict[str, Any] = {}
    for name, margin in (margins | single).items():
        fit = calibration.choose_calibration(suspicious[decided], margin[decided], patients[decided])
        probability = calibration.apply(margin[decided], fit)
        comparison[name] = {
            "auc": round(auc(suspicious[decided], margin[decided]), 4),
            "auc_mean_from_3": round(auc(from_3[clear], margin[clear]), 4),
            "brier": round(calibration.brier(suspicious[decided], probability), 4),
            "calibration": fit["method"],
        }
        report(f"{name}: {comparison[name]}")
        if name in margins:
            chosen[name] = fit
    best = min(chosen, key=lambda name: comparison[name]["brier"])
    (bundle / "models").mkdir(parents=True, exist_ok=True)
    linear = _linear(recipe, names, x, share, weight)
    write_json(bundle / "models/logistic_regression.json", _linear_as_json(linear, names))
    _trees(x, share, weight, names, recipe).save_model(bundle / "models/xgboost.json")
    return {
        "network": best,
        "inputs": names,
        "calibration": chosen[best],
        "validation_comparison": comparison,
        "type_validation": _train_type(observations, recipe, bundle, report),
    }


def _train_type(
    observations: list[Observation], recipe: dict[str, Any], bundle: Path, report: Callable[[str], None]
) -> dict[str, Any]:
    """Fit the classifier of the type; returns its figures by patient-wise cross-validation.

    Where the nodules are not of all three types, none is written: the encoder tells the type.
    """
    kinds = np.array([reference_type(o.nodule) for o in observations])
    (bundle / TYPE_FILE).unlink(missing_ok=True)
    if len(set(kinds)) < len(TYPES):
        report("type: left to the encoder, for the nodules are not of all three types")
        return {}
    weight = np.array([0.4 + 0.15 * o.nodule.n_readers for o in observations])
    clear = np.array([o.nodule.n_readers >= 3 for o in observations])
    rows = [fusion_inputs(o.answers, o.measurements, o.radiomics) for o in observations]
    x = np.array([[row.get(name, np.nan) for name in TYPE_INPUTS] for row in rows])
    probability = np.zeros((len(x), 3))
    groups = [o.nodule.patient_id for o in observations]
    for train, held in GroupKFold(recipe["cross_validation"]).split(x, kinds, groups):
        model = _type_model(recipe).fit(x[train], kinds[train], logisticregression__sample_weight=weight[train])
        probability[np.ix_(held, model[-1].classes_)] = model.predict_proba(x[held])
    model = _type_model(recipe).fit(x, kinds, logisticregression__sample_weight=weight)
    imputer, scaler, regression = (step for _, step in model.steps)
    columns = zip(TYPE_INPUTS, imputer.statistics_, scaler.mean_, scaler.scale_, strict=True)
    inputs = {name: {"median": float(m), "mean": float(a), "scale": float(s)} for name, m, a, s in columns}
    weights = {"weights": regression.coef_.tolist(), "intercepts": regression.intercept_.tolist()}
    write_json(bundle / TYPE_FILE, {"inputs": inputs, **weights})
    figures = {
        "nodules": int(clear.sum()),
        "subsolid_auc": round(auc(kinds[clear] > 0, 1 - probability[clear, 0]), 4),
        "balanced_accuracy": round(balanced_accuracy(kinds[clear], probability[clear].argmax(1)), 4),
    }
    report(f"type: {figures}")
    return figures


def _type_model(recipe: dict[str, Any]) -> Pipeline:
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=recipe["type_regression"]["C"], class_weight="balanced", max_iter=5000),
    )


def _linear(recipe: dict[str, Any], names: list[str], x: np.ndarray, share: np.ndarray, weight: np.ndarray) -> Pipeline:
    """Ridge-penalised; ``scales`` (by the longest prefix of a name) shrink what may only correct the rest.

    A nodule stands for a suspicious one and for another, each as far as its readers say so (``share``).
    """
    settings = recipe["logistic_regression"]
    prefixes = sorted(settings["scales"], key=len)
    shrink = [next((settings["scales"][p] for p in reversed(prefixes) if name.startswith(p)), 1.0) for name in names]
    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        FunctionTransformer(_times, kw_args={"factors": np.array(shrink)}),
        LogisticRegression(C=settings["C"], max_iter=5000),
    )
    votes = np.tile(weight, 2) * np.concatenate([share, 1 - share])
    return model.fit(np.tile(x, (2, 1)), np.repeat([1, 0], len(x)), logisticregression__sample_weight=votes)


def _times(x: np.ndarray, factors: np.ndarray) -> np.ndarray:
    return x * factors


def _linear_as_json(model: Pipeline, names: list[str]) -> dict[str, dict[str, float]]:
    """{input: median, mean, scale, weight}, and the intercept under ``""``."""
    imputer, scaler, shrink, linear = (step for _, step in model.steps)
    weights = shrink.transform(linear.coef_)[0]
    columns = zip(names, imputer.statistics_, scaler.mean_, scaler.scale_, weights, strict=True)
    return {
        name: {"median": float(m), "mean": float(a), "scale": float(s), "weight": float(w)}
        for name, m, a, s, w in columns
    } | {"": {"weight": float(linear.intercept_[0])}}


def _trees(x: np.ndarray, share: np.ndarray, weight: np.ndarray, names: list[str], recipe: dict[str, Any]) -> Any:
    import xgboost

    data = xgboost.DMatrix(x, share, weight=weight, feature_names=names)
    settings = {**recipe["xgboost"], "objective": "binary:logistic", "nthread": 2, "seed": recipe["seed"]}
    return xgboost.train(settings, data, recipe["rounds"])


def _margin(booster: Any, x: np.ndarray, names: list[str]) -> np.ndarray:
    import xgboost

    return booster.predict(xgboost.DMatrix(x, feature_names=names), output_margin=True)
