"""``train``: data to a bundle with new weights, by the recipe in the bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.errors import UsageError
from LungNoduleCADLib.evaluation.calibration import fit_platt, fit_temperature
from LungNoduleCADLib.nodules.segment import NoduleSegmenter
from LungNoduleCADLib.training.cases import nodule_cases
from LungNoduleCADLib.training.export import WEIGHTS, finish_bundle, save_network
from LungNoduleCADLib.training.labels import reference_type
from LungNoduleCADLib.training.lung_background import Donor
from LungNoduleCADLib.training.nodule_pack import NodulePack
from LungNoduleCADLib.training.prepare import prepare, scans_by_split
from LungNoduleCADLib.training.samples import SampleStore

Report = Callable[[str], None]
TRAINABLE = ("nodule_ct_attributes", "nodule_ct_segmentation", "nodule_fusion")


def train_bundle(
    name: str,
    data: Path,
    scans: Path | None,
    work: Path,
    out: Path,
    device: str,
    report: Report,
    epochs: int | None = None,
) -> Bundle:
    """Train a bundle's model and write the bundle to ``out``; an interrupted run in ``work`` is taken up again.

    Parameters
    ----------
    data : folder in the nodule pack's format.
    scans : folder of whole marked scans for lung background; without it blocks are continued by their edges and there
        are no non-nodules from whole scans.
    """
    if name not in TRAINABLE:
        raise UsageError("That model cannot be trained", expected=" or ".join(TRAINABLE), got=name)
    source = find_bundle(name)
    recipe = dict(source.train)
    if epochs is not None and "loop" in recipe:
        recipe["loop"] = {**recipe["loop"], "epochs": epochs}
    pack = NodulePack(data)
    if out.resolve() != source.path.resolve():
        shutil.copytree(source.path, out, dirs_exist_ok=True)
    if name == "nodule_fusion":
        inference, weights = _fusion(pack, scans, recipe, out, device, report)
    else:
        stores = prepare(pack, scans, work / "samples", recipe, report)
        fitted = _encoder if name == "nodule_ct_attributes" else _segmenter
        inference, weights = fitted(pack, stores, recipe, work / name, out, device, report)
    finish_bundle(out, inference, recipe, pack.split_sha256(), weights)
    return Bundle(out)


def _encoder(
    pack: NodulePack,
    stores: dict[str, dict[str, SampleStore]],
    recipe: dict[str, Any],
    run: Path,
    out: Path,
    device: str,
    report: Report,
) -> tuple[dict[str, Any], list[str]]:
    from LungNoduleCADLib.training.train_encoder import middle, train_encoder

    network = train_encoder(pack, stores, recipe, run, device, report)
    save_network(network, out)
    validation = stores["validation"]["fine"]
    runner = EncoderRunner(network, **recipe["patch"], device=device)
    answers = runner.answer(middle(validation.hu, runner.size))
    by_id = {n.nodule_id: n for n in pack.nodules}
    known = [by_id.get(s.nodule_id) for s in validation.samples]
    clear = np.array([n is not None and n.n_readers >= 3 for n in known])
    decided = np.array([n is not None and n.median("malignancy") != 3 for n in known])
    calibration = {
        "nodule": fit_platt(np.array([n is not None for n in known], float), answers.heads["nodule"][:, 0]),
        "malignancy": fit_platt(
            np.array([n.median("malignancy") > 3 for n in known if n and n.median("malignancy") != 3], float),
            answers.heads["malignancy"][decided, 0],
        ),
        "nodule_type": fit_temperature(
            np.array([reference_type(n) for n in known if n and n.n_readers >= 3]), answers.heads["nodule_type"][clear]
        ),
    }
    old = (
        json.loads((out / "configs/inference.json").read_text(encoding="utf-8"))
        if (out / "configs/inference.json").is_file()
        else {}
    )
    return {
        "network": recipe["network"],
        "arguments": recipe["arguments"],
        "patch": recipe["patch"],
        "calibration": calibration,
        "operating_threshold": old.get("operating_threshold", 0.5),
    }, [WEIGHTS]


def _segmenter(
    pack: NodulePack,
    stores: dict[str, dict[str, SampleStore]],
    recipe: dict[str, Any],
    run: Path,
    out: Path,
    device: str,
    report: Report,
) -> tuple[dict[str, Any], list[str]]:
    from LungNoduleCADLib.training.train_segmenter import train_segmenter

    save_network(train_segmenter(pack, stores, recipe, run, device, report), out)
    return {"network": recipe["network"], "arguments": recipe["arguments"], "patch": recipe["patch"]}, [WEIGHTS]


def _fusion(
    pack: NodulePack, scans: Path | None, recipe: dict[str, Any], out: Path, device: str, report: Report
) -> tuple[dict[str, Any], list[str]]:
    from LungNoduleCADLib.training.train_fusion import observe, train_fusion

    donors = [
        Donor(s.ct, s.lungs, s.keep_away_lps_mm)
        for s in scans_by_split(pack, scans, {"train": tuple(recipe["folds"]["train"])}, report)["train"]
    ]
    encoder = EncoderRunner.from_bundle(find_bundle("nodule_ct_attributes"), device)
    segmenter = NoduleSegmenter.from_bundle(find_bundle("nodule_ct_segmentation"), device)
    cases = nodule_cases(pack, pack.of_folds(tuple(recipe["folds"]["train"])), donors, recipe["seed"])
    observations = list(observe(cases, encoder, segmenter))
    return train_fusion(observations, recipe, out, report), ["models/model.json", "models/principal_axes.safetensors"]
