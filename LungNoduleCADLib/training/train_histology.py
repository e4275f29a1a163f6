"""Recipe of the histology heads of ``nodule_ct_attributes``: frozen encoder, two linear layers, honest measurement.

The shipped heads stay untrained: no freely licensed set at hand is large enough, and on the public ones a network is
easily no better than the scanner's settings.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import member_files, sha256_of
from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.evaluation.calibration import fit_platt, fit_temperature
from LungNoduleCADLib.training.evaluate_histology import evaluate_histology
from LungNoduleCADLib.training.export import save_network, write_json
from LungNoduleCADLib.training.histology import HistologyData, open_histology_data
from LungNoduleCADLib.training.histology_heads import (
    CLASSES,
    FOLDS,
    INVERSE_PENALTY,
    NOT_ASKED,
    SEED,
    Observation,
    fit_head,
    left_out_logits,
    observe,
    patient_folds,
    too_few,
    truth_of,
)

Report = Callable[[str], None]
BUNDLE = "nodule_ct_attributes"
EVALUATION = "docs/histology_evaluation.json"


def train_histology(folders: Sequence[Path], out: Path, device: str, report: Report) -> Bundle:
    """Fit the heads on one collection or several, and write the bundle with them and with what they are worth.

    The first line of the report is each collection's licence, which the new weights inherit.

    Parameters
    ----------
    folders : each holds NSCLC-Radiomics or Lung-PET-CT-Dx as TCIA ships them.
    out : folder for the bundle; figures and words are in its ``docs/histology_evaluation.json``.

    Raises
    ------
    InputError : no known collection, or too few patients for either head.
    UsageError : ``out`` is the installed bundle.
    """
    source = find_bundle(BUNDLE)
    if out.resolve() == source.path.resolve():
        raise UsageError("The shipped bundle keeps its heads untrained", got=str(out), todo="give another folder")
    data, observations, runner = observed(folders, device, report)
    figures = measured(data, observations, source)
    for sentence in figures["sentences"]:
        report(sentence)
    calibration = {}
    for head in CLASSES:
        if too_few(head, observations):
            continue
        truth = truth_of(head, [one.case for one in observations])
        asked = [one for one, t in zip(observations, truth, strict=True) if t != NOT_ASKED]
        truth = truth[truth != NOT_ASKED]
        for network, fitted in zip(runner.networks, fit_head(asked, truth), strict=True):
            fitted.put_into(network.heads[head])
        calibration[head] = _calibration(asked, truth)
    if not calibration:
        reasons = "; ".join(f"{head}: {too_few(head, observations)}" for head in CLASSES)
        raise InputError("Neither head can be trained from that", got=reasons, todo="add a collection")
    _write(source, out, runner, calibration, data)
    write_json(out / EVALUATION, figures)
    return Bundle(out)


def observed(
    folders: Sequence[Path], device: str, report: Report
) -> tuple[list[HistologyData], list[Observation], EncoderRunner]:
    """Open the collections, say their licences first, and run the shipped encoder on every case."""
    data = [open_histology_data(folder) for folder in folders]
    for one in data:
        report(one.licence)
    for one in data:
        report(f"{one.name}: {len(one.cases)} patients, {len(one.notes)} left out")
    runner = EncoderRunner.from_bundle(find_bundle(BUNDLE), device)
    return data, observe([case for one in data for case in one.cases], runner, report), runner


def measured(data: Sequence[HistologyData], observations: Sequence[Observation], source: Bundle) -> dict[str, Any]:
    """``evaluate_histology`` with what it stands on."""
    return {
        "encoder": source.name,
        "version": source.metadata["version"],
        "encoder_weights_sha256": source.weight_files,
        "data": [one.name for one in data],
        "licences": [one.licence for one in data],
        **evaluate_histology(observations),
    }


def _calibration(asked: Sequence[Observation], truth: np.ndarray) -> dict[str, Any]:
    """Fitted on the answers of heads that did not see the patient."""
    logits = left_out_logits(asked, truth, patient_folds(asked, truth))
    known = np.isfinite(logits).all(axis=1)
    logits, truth = logits[known], truth[known]
    return fit_platt(truth, logits[:, 0]) if logits.shape[1] == 1 else fit_temperature(truth, logits)


def _write(
    source: Bundle, out: Path, runner: EncoderRunner, calibration: dict[str, Any], data: Sequence[HistologyData]
) -> None:
    """The bundle with new heads. Its figures are of other weights now and go: evaluate it again before it is used."""
    shutil.copytree(source.path, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("evaluation*"))
    for file, network in zip(member_files(source), runner.networks, strict=True):
        save_network(network, out, file)
    write_json(
        out / "configs/inference.json",
        {**source.inference, "calibration": {**source.inference["calibration"], **calibration}},
    )
    write_json(
        out / "configs/train.json",
        {
            **source.train,
            "histology": {
                "data": [one.name for one in data],
                "folds": FOLDS,
                "seed": SEED,
                "inverse_penalty": INVERSE_PENALTY,
            },
        },
    )
    metadata = json.loads((out / "configs/metadata.json").read_text(encoding="utf-8"))
    heads = {**metadata["heads"], **dict.fromkeys(calibration, "trained")}
    licences = "; ".join([metadata["data_license"], *(one.licence for one in data)])
    digests = {file: sha256_of(out / file) for file in source.weight_files}
    write_json(
        out / "configs/metadata.json",
        {**metadata, "heads": heads, "data_license": licences, "weights_sha256": digests},
    )
