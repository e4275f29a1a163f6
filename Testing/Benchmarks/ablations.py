"""What the parts of a recipe are worth: ``python Testing/Benchmarks/ablations.py BUNDLE --data D --work W --runs R``.

A row is a change of the recipe, trained like the base row (same few samples, same seed, without fold 3) and judged by
the recipe's own score on the nodules of fold 3, as real as they are there. Rows go to ``ablations.json`` as they are
done; those that are there with the same settings are kept, an interrupted row goes on. One training a row: the row
"another seed" says how much chance alone moves a figure.

``--work``: where ``train`` prepared its samples; ``--runs``: for checkpoints and answers, outside the repository.
``--go-on-from RUN``: rows begin with what a run of the recipe had learned without fold 3, and end where the
recipe, or the row, ends.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from LungNoduleCADLib.bundles.registry import find_bundle  # noqa: E402
from LungNoduleCADLib.classification.encoder import Answers, EncoderRunner  # noqa: E402
from LungNoduleCADLib.errors import InputError, UsageError  # noqa: E402
from LungNoduleCADLib.evaluation.bootstrap import interval, number, resampled_rows  # noqa: E402
from LungNoduleCADLib.training.nodule_pack import NodulePack, PackNodule  # noqa: E402
from LungNoduleCADLib.training.samples import SampleStore  # noqa: E402
from LungNoduleCADLib.training.train_encoder import held_out_rows, middle, score_encoder, train_encoder  # noqa: E402
from LungNoduleCADLib.training.train_segmenter import score_segmenter, train_segmenter  # noqa: E402

FOLD = 3
CLEAR_READERS = 3
FILE = Path(__file__).with_suffix(".json")
SETTINGS = ("seed", "arguments", "patch", "augmentation", "batch", "samples_per_epoch", "losses", "loss", "loop")
PRETRAINING = {
    "samples_per_epoch": 2000,
    "batch": 16,
    "hidden_share": 0.5,
    "teacher_decay": 0.98,
    "loop": {"epochs": 2, "learning_rate": 1e-3, "weight_decay": 0.02, "warm_up_epochs": 0.3, "ema_decay": 0.9},
}
THIRD_CYCLE = {"epochs": 24, "patience": 24}
BOTH: dict[str, dict[str, Any]] = {
    "base": {},
    "without affine": {"augmentation": {"affine": False}},
    "without kernel and slice thickness simulation": {"augmentation": {"kernels": False}},
    "another seed": {"seed": 1},
    "without intensity jitter": {"augmentation": {"intensity": False}},
    "with elastic deformation": {"augmentation": {"elastic": True}},
}
ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "nodule_ct_attributes": BOTH
    | {
        "with pretraining": {"pretraining": PRETRAINING},
        "focal loss for nodule": {"losses": {"nodule": "focal"}},
        "a third cycle": {"loop": THIRD_CYCLE},
        "a third cycle, moved by whole voxels": {
            "loop": THIRD_CYCLE,
            "late_augmentation": {"from_epoch": 18, "affine": False, "whole_voxels": True},
        },
        "without subsolid weights": {"losses": {"class_weights": {"nodule_type": [1.0, 1.0, 1.0]}}},
        "stem kernel 3": {"arguments": {"stem_kernel": 3}},
        "stem kernel 7": {"arguments": {"stem_kernel": 7}},
    },
    "nodule_ct_segmentation": BOTH
    | {
        "with elastic deformation": {"augmentation": {"elastic": True}, "late_augmentation": {"elastic": False}},
        "Dice and focal loss": {"loss": "dice+focal"},
        "cross-entropy only": {"loss": "cross-entropy"},
        "without the last cycle": {"loop": {"epochs": 15}},
        "the last cycle moved like the others": {"late_augmentation": None},
    },
}
"""{bundle: {row: change of its recipe}}."""
OPENED_BY_A_CHANGE = ("pretraining", "late_augmentation")
Known = dict[str, np.ndarray]
"""What a network answered, a row each of what is judged."""


def changed(recipe: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A recipe with a change in it; inner dictionaries are merged.

    Raises
    ------
    UsageError : the recipe has no such key, so training would not notice the change.
    """
    unknown = [key for key in change if key not in recipe and key not in OPENED_BY_A_CHANGE]
    if unknown:
        raise UsageError("The recipe has no such switch", expected=", ".join(recipe), got=", ".join(unknown))
    return _merged(recipe, change)


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    inner = {k: _merged(old[k], v) for k, v in new.items() if isinstance(v, dict) and isinstance(old.get(k), dict)}
    return {**old, **new, **inner}


@dataclass(frozen=True)
class Judge:
    """How a bundle's networks are trained, asked and scored.

    ``patients``: of each row that is judged; ``figures``: of answers to such rows, drawn with repeats or not.
    """

    train: Callable[..., nn.Module]
    ask: Callable[[nn.Module], Known]
    figures: Callable[[Known, np.ndarray], dict[str, float]]
    patients: list[str]


def judge_of(bundle: str, pack: NodulePack, stores: list[SampleStore], recipe: dict[str, Any], device: str) -> Judge:
    nodules = {nodule.nodule_id: nodule for nodule in pack.nodules}
    if bundle == "nodule_ct_attributes":
        return _encoder_judge(stores[0], nodules, recipe, device)
    return _segmenter_judge(stores, nodules, recipe["patch"]["size"], device)


def _encoder_judge(store: SampleStore, nodules: dict[str, PackNodule], recipe: dict[str, Any], device: str) -> Judge:
    rows = held_out_rows(store, FOLD, recipe["validation_non_nodules"])
    samples = [store.samples[row] for row in rows]
    numbers = SimpleNamespace(samples=samples, hu=np.arange(len(rows), dtype=np.int16)[:, None, None, None])
    asked_often = {
        key: SimpleNamespace(**(vars(n) | {"mean": cache(n.mean), "median": cache(n.median)}))
        for key, n in nodules.items()
    }

    def ask(network: nn.Module) -> Known:
        runner = EncoderRunner((network,), **recipe["patch"], device=device)
        return runner.answer([middle(store.hu[row], runner.size) for row in rows]).heads

    def figures(known: Known, picked: np.ndarray) -> dict[str, float]:
        return score_encoder(_Recorded(known), numbers, [int(n) for n in picked], asked_often)

    return Judge(train_encoder, ask, figures, [sample.patient for sample in samples])


class _Recorded:
    """Stands for a runner whose answers are known: a "cube" is the number of its row."""

    size = 1

    def __init__(self, known: Known) -> None:
        self.known = known

    def answer(self, cubes: Iterable[np.ndarray]) -> Answers:
        rows = [int(cube.item()) for cube in cubes]
        return Answers({head: said[rows] for head, said in self.known.items()}, np.zeros((len(rows), 0)))


def _segmenter_judge(stores: list[SampleStore], nodules: dict[str, PackNodule], size: int, device: str) -> Judge:
    there = {store.samples[row].nodule_id for store in stores for row in store.own_rows(FOLD)}
    clear = [n for n in nodules.values() if n.fold == FOLD and n.n_readers >= CLEAR_READERS and n.nodule_id in there]
    names = [f"{figure}_{store.name}" for store in stores for figure in ("dice", "volume_ratio")]

    def ask(network: nn.Module) -> Known:
        said = [score_segmenter(network, stores, {n.nodule_id: n}, FOLD, size, device, 1) for n in clear]
        return {name: np.array([scores.get(name, np.nan) for scores in said]) for name in names}

    def figures(known: Known, picked: np.ndarray) -> dict[str, float]:
        scores = {}
        for name, column in known.items():
            values = column[picked][np.isfinite(column[picked])]
            if len(values):
                scores[name] = float(np.exp(np.log(values).mean()) if name.startswith("volume") else values.mean())
        return scores | {"score": float(np.mean([v for name, v in scores.items() if name.startswith("dice")]))}

    return Judge(train_segmenter, ask, figures, [nodule.patient_id for nodule in clear])


def compared(judge: Judge, known: Known, base: Known | None, draws: int) -> dict[str, Any]:
    """Figures of a row, and how far they are from the base row's, each with its 95 % interval over patients.

    Both are asked about the same patients in every draw.
    """
    everything = np.arange(len(judge.patients))
    sets = [everything, *resampled_rows(judge.patients, draws)]
    mine = [_scored(judge, known, rows) for rows in sets]
    result = {"figures": _with_intervals(mine)}
    if base is not None:
        its = [_scored(judge, base, rows) for rows in sets]
        apart = [{f: m[f] - i[f] for f in m if f in i} for m, i in zip(mine, its, strict=True)]
        result["difference"] = _with_intervals(apart)
    return result


def _scored(judge: Judge, known: Known, rows: np.ndarray) -> dict[str, float]:
    try:
        return judge.figures(known, rows)
    except ValueError:  # a draw with one class only
        return {}


def _with_intervals(scores: list[dict[str, float]]) -> dict[str, dict[str, float | None]]:
    table = {}
    for name, value in scores[0].items():
        low, high = interval([of_draw[name] for of_draw in scores[1:] if name in of_draw])
        table[name] = {"value": number(value), "low": number(low), "high": number(high)}
    return table


@dataclass(frozen=True)
class Table:
    """One bundle's part of the file; other processes may write the others'."""

    file: Path
    bundle: str
    head: dict[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """Rows that were made with the same settings."""
        mine = self._read().get(self.bundle, {})
        same = {key: mine.get(key) for key in self.head} == self.head
        return mine["rows"] if same else []

    def has(self, name: str, change: dict[str, Any]) -> bool:
        return any(row["row"] == name and row["change"] == change for row in self.rows())

    def put(self, row: dict[str, Any]) -> None:
        kept = [old for old in self.rows() if old["row"] != row["row"]]
        content = self._read() | {self.bundle: {**self.head, "rows": [*kept, row]}}
        partial_file = self.file.with_suffix(".partial")
        partial_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        partial_file.replace(self.file)

    def _read(self) -> dict[str, Any]:
        return json.loads(self.file.read_text(encoding="utf-8")) if self.file.is_file() else {}


def head_of(recipe: dict[str, Any], pack: NodulePack, patients: list[str], draws: int) -> dict[str, Any]:
    """What all rows of a bundle share, as JSON gives it back."""
    head = {
        "data": recipe["data"],
        "split_sha256": pack.split_sha256(),
        "held_out_fold": FOLD,
        "judged_on": f"fold {FOLD}, as real as it is there; the best epoch is chosen on fold {FOLD} too, in every row",
        "cases": len(patients),
        "patients": len(set(patients)),
        "interval": f"95 %, {draws} bootstrap draws of patients, paired; says nothing of another training's chance",
        "settings": {key: recipe[key] for key in SETTINGS if key in recipe},
    }
    return json.loads(json.dumps(head))


def answers_of(
    name: str,
    change: dict[str, Any],
    recipe: dict[str, Any],
    judge: Judge,
    train: Callable[..., nn.Module],
    runs: Path,
    start: Path | None = None,
) -> Known:
    """Train a row, from ``start``'s checkpoint on where there is one, unless a run with the same recipe answered."""
    folder, wanted = runs / name.replace(" ", "_"), json.dumps(changed(recipe, change), sort_keys=True)
    said, made_with = folder / "answers.npz", folder / "recipe.json"
    if made_with.is_file() and made_with.read_text(encoding="utf-8") != wanted:
        raise UsageError("These runs are of other settings", got=str(folder), todo="give another --runs")
    if not said.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made_with.write_text(wanted, encoding="utf-8")
        for checkpoint in ("last.pt", "best.pt"):
            if start and not (folder / checkpoint).is_file():
                shutil.copy(start / checkpoint, folder)
        network = train(recipe=json.loads(wanted), run=folder)
        if "pretraining" in change and not (folder / "pretraining" / "log.csv").is_file():
            raise InputError("Training took no notice of the recipe's pretraining", got=name)
        np.savez(said, **judge.ask(network))
    with np.load(said) as arrays:
        return dict(arrays)


def run_rows(
    wanted: dict[str, dict[str, Any]],
    recipe: dict[str, Any],
    judge: Judge,
    train: Callable[..., nn.Module],
    table: Table,
    runs: Path,
    draws: int,
    report: Callable[[str], None],
    start: Path | None = None,
) -> None:
    """Rows in the given order, after the base row, to which they are compared."""
    answers = partial(answers_of, recipe=recipe, judge=judge, train=train, runs=runs, start=start)
    base = answers("base", {})
    for name, change in {"base": {}, **wanted}.items():
        if table.has(name, change):
            report(f"{name}: is there")
            continue
        try:
            changed(recipe, change)
        except UsageError as error:
            report(f"{name}: left out. {error}")
            continue
        row = compared(judge, answers(name, change), None if name == "base" else base, draws)
        table.put({"row": name, "change": change, **row})
        report(f"{name}: {json.dumps(row.get('difference', row['figures']).get('score'))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", choices=ROWS)
    parser.add_argument("--data", type=Path, required=True, help="the nodule pack")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--go-on-from", type=Path, metavar="RUN")
    parser.add_argument("--rows", nargs="+", help="in this order; by default all")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--samples", type=int, default=2000, help="an epoch")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--json", type=Path, default=FILE)
    arguments = parser.parse_args()
    known = ROWS[arguments.bundle]
    names = arguments.rows or list(known)
    if unknown := set(names) - set(known):
        parser.error(f"rows are {', '.join(known)}; got {', '.join(unknown)}")

    pack, recipe = NodulePack(arguments.data), dict(find_bundle(arguments.bundle).train)
    start, part = arguments.go_on_from, arguments.bundle
    if start:
        began = torch.load(start / "last.pt", weights_only=True, map_location="cpu")["epoch"]
        part = f"{part}, after {began} epochs"
    else:
        recipe |= _short(recipe, arguments)
    scales = [f"{scale['spacing_mm']:g}mm" for scale in recipe["samples"]["scales"]]
    stores = [SampleStore(arguments.work / arguments.bundle / "samples" / scale) for scale in scales]
    judge = judge_of(arguments.bundle, pack, stores, recipe, arguments.device)
    say = partial(print, flush=True)
    train = partial(judge.train, pack, stores, held_out=FOLD, device=arguments.device, report=say)
    table = Table(arguments.json, part, head_of(recipe, pack, judge.patients, arguments.draws))
    wanted = {name: known[name] for name in names}
    run_rows(wanted, recipe, judge, train, table, arguments.runs / part.replace(" ", "_"), arguments.draws, say, start)


def _short(recipe: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "samples_per_epoch": arguments.samples,
        "loop": {**recipe["loop"], "epochs": arguments.epochs, "warm_up_epochs": 0.3, "ema_decay": 0.98},
    }


if __name__ == "__main__":
    main()
