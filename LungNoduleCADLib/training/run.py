"""``train``: data to a bundle with new weights, by the recipe in the bundle."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.classification.familiarity import FILE
from LungNoduleCADLib.classification.fusion import TYPE_FILE
from LungNoduleCADLib.errors import UsageError
from LungNoduleCADLib.evaluation.calibration import choose_calibration, fit_temperature
from LungNoduleCADLib.training.data import PackNodule, TrainingData, open_training_data
from LungNoduleCADLib.training.export import finish_bundle, save_network, save_tensors
from LungNoduleCADLib.training.labels import reference_type
from LungNoduleCADLib.training.prepare import prepare
from LungNoduleCADLib.training.samples import SampleStore
from LungNoduleCADLib.training.train_lungs import train_lungs

FUSION_FILES = ("models/logistic_regression.json", "models/xgboost.json", TYPE_FILE)
Report = Callable[[str], None]
TRAINABLE = (
    "lung_ct_segmentation",
    "nodule_ct_attributes",
    "nodule_ct_detection",
    "nodule_ct_segmentation",
    "nodule_fusion",
)
OUTLINED = ("nodule_ct_segmentation", "nodule_fusion")


def train_bundle(
    name: str,
    folder: Path,
    scans: Path | None,
    work: Path,
    out: Path,
    device: str,
    report: Report,
    epochs: int | None = None,
    only_held_out: int | None = None,
    encoder_weights: Path | None = None,
) -> Bundle | None:
    """Train a bundle's model and write the bundle to ``out``; an interrupted run in ``work`` is taken up again.

    Parameters
    ----------
    folder : a nodule pack, LIDC-IDRI or LUNA16 (see ``training.data``).
    scans : folder of whole marked scans beside a nodule pack; without it the background is synthetic and there are no
        non-nodules from whole scans. The lung model needs it.
    only_held_out : train only the member that does not see this fold, for another computer or process; no bundle then.
    encoder_weights : a state dictionary to start the encoder from.
    """
    if name not in TRAINABLE:
        raise UsageError("That model cannot be trained", expected=" or ".join(TRAINABLE), got=name)
    source = find_bundle(name)
    recipe = dict(source.train)
    if epochs is not None and "loop" in recipe:
        recipe["loop"] = {**recipe["loop"], "epochs": epochs}
    if encoder_weights is not None:
        recipe["encoder_weights"] = str(encoder_weights)
    data = open_training_data(folder, scans, report)
    for note in data.notes:
        report(note)
    if name == "lung_ct_segmentation":
        if scans is None:
            raise UsageError("The lung model is trained on whole scans", todo="name their folder with --scans")
        network = train_lungs(data, scans, recipe, work / name, device, report)
        _copy(source.path, out)
        save_network(network, out, "models/model.safetensors")
        settings = {key: recipe[key] for key in ("network", "arguments", "patch", "dense_odds")}
        finish_bundle(out, {**source.inference, **settings}, recipe, data.split_sha256(), ["models/model.safetensors"])
        return Bundle(out)
    data.require(name, outlines=name in OUTLINED, ratings=name == "nodule_fusion")
    if name == "nodule_fusion":
        _copy(source.path, out)
        inference, weights = _fusion(data, recipe, out, device, report)
        finish_bundle(out, inference, recipe, data.split_sha256(), weights)
        return Bundle(out)
    stores = prepare(data, work / name / "samples", recipe, report)
    networks = _members(name, data, stores, recipe, work / name, device, report, only_held_out)
    if only_held_out is not None:
        return None
    _copy(source.path, out)
    inference, weights = _ensemble(name, data, stores, networks, recipe, out, device, report)
    finish_bundle(out, {**source.inference, **inference}, recipe, data.split_sha256(), weights)
    return Bundle(out)


def _copy(source: Path, out: Path) -> None:
    if out.resolve() != source.resolve():
        shutil.copytree(source, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))


def _members(
    name: str,
    data: TrainingData,
    stores: list[SampleStore],
    recipe: dict[str, Any],
    work: Path,
    device: str,
    report: Report,
    only_held_out: int | None,
) -> dict[int, nn.Module]:
    """{fold that it never saw: network}."""
    if name == "nodule_ct_attributes":
        from LungNoduleCADLib.training.train_encoder import train_encoder as train_member
    elif name == "nodule_ct_detection":
        from LungNoduleCADLib.training.train_detector import train_detector as train_member
    else:
        from LungNoduleCADLib.training.train_segmenter import train_segmenter as train_member
    folds = recipe["folds"]["held_out"]
    if only_held_out is not None and only_held_out not in folds:
        raise UsageError("No member leaves that fold out", expected=" or ".join(map(str, folds)), got=only_held_out)
    return {
        fold: train_member(data, stores, recipe, fold, work / f"held_out_{fold}", device, report)
        for fold in (folds if only_held_out is None else [only_held_out])
    }


def _ensemble(
    name: str,
    data: TrainingData,
    stores: list[SampleStore],
    networks: dict[int, nn.Module],
    recipe: dict[str, Any],
    out: Path,
    device: str,
    report: Report,
) -> tuple[dict[str, Any], list[str]]:
    """The networks' weights into the bundle: what ``inference.json`` says of them, and the files."""
    members = [{"held_out_fold": fold, "file": f"models/held_out_{fold}.safetensors"} for fold in networks]
    for member, network in zip(members, networks.values(), strict=True):
        save_network(network, out, member["file"])
    weights = [member["file"] for member in members]
    inference = {key: recipe[key] for key in ("network", "arguments", "patch")} | {"members": members}
    if name == "nodule_ct_attributes":
        from LungNoduleCADLib.training.fit_familiarity import fit_familiarity

        inference["calibration"] = _encoder_calibration(data, stores[0], networks, recipe, device)
        runners = {f: EncoderRunner((n,), **recipe["patch"], device=device) for f, n in networks.items()}
        save_tensors(fit_familiarity(runners, stores[0], recipe["seed"]), out, FILE)
        weights.append(FILE)
    elif name == "nodule_ct_segmentation":
        from LungNoduleCADLib.training.outline_thresholds import choose_thresholds

        inference |= choose_thresholds(networks, data, recipe, device, report)
    return inference, weights


def _encoder_calibration(
    data: TrainingData, store: SampleStore, networks: dict[int, nn.Module], recipe: dict[str, Any], device: str
) -> dict[str, dict[str, Any]]:
    """Fitted on what each network says of the fold that it never saw."""
    from LungNoduleCADLib.training.train_encoder import held_out_rows, middle

    by_id = {n.nodule_id: n for n in data.nodules}
    known: list[PackNodule | None] = []
    origins: list[str] = []
    parts = []
    for fold, network in networks.items():
        runner = EncoderRunner((network,), **recipe["patch"], device=device)
        rows = held_out_rows(store, fold, recipe["validation_non_nodules"])
        known += [by_id.get(store.samples[row].nodule_id) for row in rows]
        origins += [store.samples[row].patient for row in rows]
        parts.append(runner.answer([middle(store.hu[row], runner.size) for row in rows]).heads)
    logits = {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}
    is_nodule = np.array([n is not None for n in known])
    clear = np.array([bool(n and n.ratings and n.n_readers >= 3) for n in known])
    decided = np.array([bool(c and n and n.median("malignancy") != 3) for n, c in zip(known, clear, strict=True)])
    suspicious = np.array([bool(c and n and n.median("malignancy") > 3) for n, c in zip(known, clear, strict=True)])
    types = np.array([reference_type(n) for n, c in zip(known, clear, strict=True) if n and c])
    patients = np.array(origins)
    nodule = {"nodule": choose_calibration(is_nodule.astype(float), logits["nodule"][:, 0], patients)}
    if not clear.any():
        return nodule
    return nodule | {
        "malignancy": choose_calibration(
            suspicious[decided].astype(float), logits["malignancy"][decided, 0], patients[decided]
        ),
        "nodule_type": fit_temperature(types, logits["nodule_type"][clear]),
    }


def _fusion(
    data: TrainingData, recipe: dict[str, Any], out: Path, device: str, report: Report
) -> tuple[dict[str, Any], list[str]]:
    from LungNoduleCADLib.training.train_fusion import observe_unseen, train_fusion

    observations = observe_unseen(data, recipe, device, report)
    inference = train_fusion(observations, recipe, out, report)
    return inference, [file for file in FUSION_FILES if (out / file).is_file()]
