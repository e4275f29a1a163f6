"""Whether the meta-classifiers are better than each of their inputs."""

from __future__ import annotations

import numpy as np

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.classification.fusion import MetaClassifier, TypeClassifier, fusion_inputs
from LungNoduleCADLib.evaluation import calibration, discrimination
from LungNoduleCADLib.training.evaluate import Examination, Figures
from LungNoduleCADLib.training.evaluate_attributes import malignancy_figures, type_figures
from LungNoduleCADLib.training.evaluate_pictures import draw_malignancy
from LungNoduleCADLib.training.train_fusion import observe, unseen_models


def fusion_figures(examination: Examination) -> Figures:
    """Malignancy by the fusion, the encoder alone and volume alone on the same nodules; and the type."""
    meta, types = MetaClassifier.from_bundle(examination.bundle), TypeClassifier.from_bundle(examination.bundle)
    calibrated = find_bundle("nodule_ct_attributes").inference["calibration"]["malignancy"]
    seen = list(observe(iter(examination.cases), *unseen_models(examination.fold, examination.device)))
    inputs = [fusion_inputs(o.answers, o.measurements, o.radiomics) for o in seen]
    nodules = [o.nodule for o in seen]
    rating = np.array([o.answers.heads["malignancy_rating"].mean() for o in seen])
    encoder = np.array([o.answers.heads["malignancy"].mean() for o in seen])
    decided = np.array([n.median("malignancy") != 3 for n in nodules])
    suspicious = np.array([n.median("malignancy") > 3 for n in nodules])
    fused = np.array([meta.logit(row) for row in inputs])
    volume = np.array([row["size.log_volume"] for row in inputs])
    figures = {
        "fusion": malignancy_figures(nodules, fused, meta.calibration, rating),
        "encoder_alone": malignancy_figures(nodules, encoder, calibrated),
        "volume_alone_auc": round(discrimination.auc(suspicious[decided], volume[decided]), 4),
        **(type_figures(nodules, np.stack([types.probabilities(row) for row in inputs])) if types else {}),
        "not_outlined": len(examination.cases) - len(seen),
    }
    if examination.pictures:
        cases = {case.nodule.nodule_id: case for case in examination.cases}
        probability = calibration.apply(fused, meta.calibration)
        draw_malignancy(examination.pictures, [cases[n.nodule_id] for n in nodules], probability)
    examination.report(f"fusion AUC {figures['fusion']['malignancy_auc_median_above_3']['value']:.3f}")
    return figures
