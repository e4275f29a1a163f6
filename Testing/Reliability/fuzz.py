"""Mutated files: whatever bytes they hold, they are read or refused; no traceback, crash, hang or boundless memory.

Every case is made from its number alone, so that one that was found can be made again. Cases run in processes of their
own with bounded memory; a process that dies or stalls is a failed case.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import random
import resource
import shutil
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tally import Tally

SEEDS = Path(__file__).parent / "seeds"
MOST_MEMORY = 6 * 2**30  # bytes of address space; what the libraries map included
MOST_SECONDS = 30.0  # a case, the first one with what it has to import
CHUNK = 250
AS_IT_IS = -1
PRELOADED = ["fuzz", "LungNoduleCADLib.dicom.load", "LungNoduleCADLib.training.verify", "torch", "xgboost"]

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, -1e308, 10**400, 0.1, "", " ", "x" * 10000, "1e400", "\u0000", "\ud7ff", "../..",
    [], {}, [[]], [None], {"": 0}, [0.0, 0.0, 0.0], "2024-13-45", "N1", -0.0,
)  # fmt: skip

UNCHANGED = random.Random(0)
"""In place of a generator: the seed as it is."""


def _rng(number: int) -> random.Random:
    return random.Random(number) if number >= 0 else UNCHANGED


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """One to four changes: bits, integers, pieces cut, doubled, moved or filled."""
    if rng is UNCHANGED:
        return content
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if not data:
            return bytes(data)
        at = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(min(len(data), 1200))
        length = rng.choice((1, 2, 4, 8, 64, 512))
        kind = rng.randrange(7)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            size = rng.choice((2, 4))
            data[at : at + size] = (rng.choice(NUMBERS) & (256**size - 1)).to_bytes(size, "little")
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length]
        elif kind == 4:
            piece = rng.randrange(len(data))
            data[at : at + length] = data[piece : piece + length]
        elif kind == 5:
            data[at : at + length] = bytes([rng.randrange(256)]) * length
        else:
            del data[at:]
    return bytes(data)


def mutated_json(content: bytes, rng: random.Random) -> bytes:
    """Values exchanged for odd ones, keys dropped, renamed or added, lists doubled; at times only bytes are changed."""
    if rng is UNCHANGED:
        return content
    if rng.random() < 0.15:
        return mutated_bytes(content, rng)
    document = json.loads(content)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(document))
        if not places:
            break
        parent, key = rng.choice(places)
        kind = rng.randrange(6)
        if kind <= 2:
            parent[key] = rng.choice(ODD_VALUES)
        elif kind == 3:
            del parent[key]
        elif kind == 4 and isinstance(parent, dict):
            parent[rng.choice(("id", "extra", "", str(key).upper()))] = parent.pop(key)
        elif isinstance(parent, list):
            parent.extend(list(parent) * rng.choice((1, 3)))
        else:
            other, other_key = rng.choice(places)
            parent[key] = json.loads(json.dumps(other.get(other_key) if isinstance(other, dict) else other[other_key]))
    if rng.random() < 0.02:
        return b"[" * 100000
    return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _places(node: Any) -> list[tuple[Any, Any]]:
    found = []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found.append((node, key))
        found += _places(value)
    return found


def a_dicom_file(number: int, work: Path) -> Any:
    """One file of a series, or the whole of a multi-frame one, in six transfer syntaxes."""
    from LungNoduleCADLib.dicom.load import decode_file, load_ct

    rng = _rng(number)
    seeds = _dicom_seeds()
    folder = rng.choice(seeds)
    victim = rng.choice(sorted(folder.iterdir()))
    target = work / victim.name
    target.write_bytes(mutated_bytes(victim.read_bytes(), rng))
    if len(list(folder.iterdir())) == 1 or rng.random() < 0.1:
        for other in folder.iterdir():
            if other.name != victim.name:
                shutil.copy(other, work)
        return load_ct(work)
    return decode_file(target)


@cache
def _dicom_seeds() -> list[Path]:
    from chest_series import READ, write_chest

    names = ("as it is", "enhanced multi-frame", "RLE", "JPEG 2000 lossless", "JPEG-LS lossless", "deflated",
             "big endian", "implicit VR")  # fmt: skip
    folders = []
    for name in names:
        folder = Path(tempfile.mkdtemp(prefix="seed"))
        write_chest(folder)
        READ[name](folder)
        folders.append(folder)
    return folders


def an_image_file(number: int, work: Path) -> Any:
    """NIfTI, NRRD and MetaImage."""
    from LungNoduleCADLib.dicom.load import load_ct

    rng = _rng(number)
    seed = rng.choice(_image_seeds())
    target = work / seed.name
    target.write_bytes(mutated_bytes(seed.read_bytes(), rng))
    return load_ct(target)


@cache
def _image_seeds() -> list[Path]:
    import SimpleITK as sitk
    from chest_series import chest

    from LungNoduleCADLib.imaging.sitk_bridge import to_sitk

    ct = chest()
    folder = Path(tempfile.mkdtemp(prefix="seed"))
    files = [folder / name for name in ("ct.nii", "ct.nii.gz", "ct.nrrd", "ct.mha")]
    for file in files:
        sitk.WriteImage(to_sitk(ct.hu, ct.geometry), str(file))
    return files


def a_findings_file(number: int, work: Path) -> Any:
    """``findings.json`` of a results folder, read and written again."""
    from LungNoduleCADLib.report.findings_json import read_findings, to_json

    (work / "findings.json").write_bytes(_mutated_seed("findings.json", number))
    return to_json(read_findings(work))


def a_clinical_file(number: int, work: Path) -> Any:
    """``clinical.json``, and the risk models on it."""
    from LungNoduleCADLib.cli.work import read_clinical

    (work / "clinical.json").write_bytes(_mutated_seed("clinical.json", number))
    return read_clinical(work / "clinical.json")


def a_model_bundle(number: int, work: Path) -> Any:
    """The files of a bundle: taken, or said what is wrong; weights that were changed are never read."""
    from LungNoduleCADLib.bundles.registry import find_bundle
    from LungNoduleCADLib.bundles.spec import Bundle
    from LungNoduleCADLib.training.verify import verify_bundle

    rng = _rng(number)
    source = find_bundle("nodule_fusion").path
    target = work / source.name
    shutil.copytree(source, target)
    victim = rng.choice(sorted(file for file in target.rglob("*") if file.is_file()))
    mutate = mutated_json if victim.suffix == ".json" and rng.random() < 0.7 else mutated_bytes
    changed = mutate(victim.read_bytes(), rng)
    weights = victim.parent.name == "models" and changed != victim.read_bytes()
    victim.write_bytes(changed)
    problems = verify_bundle(Bundle(target))
    if weights and not problems:
        raise AssertionError("changed weights were taken")
    return problems


def _mutated_seed(name: str, number: int) -> bytes:
    return mutated_json((SEEDS / name).read_bytes(), _rng(number))


TARGETS: dict[str, Callable[[int, Path], Any]] = {
    "DICOM files": a_dicom_file,
    "image files": an_image_file,
    "findings.json": a_findings_file,
    "clinical.json": a_clinical_file,
    "model bundles": a_model_bundle,
}


def fuzz(what: str, count: int, first: int = 0) -> Tally:
    """``count`` cases of a target, in processes that are replaced when they die or stall."""
    tally = Tally(f"mutated {what}")
    with tempfile.TemporaryDirectory() as work:
        TARGETS[what](AS_IT_IS, Path(work))  # has to be taken
    context = multiprocessing.get_context("forkserver")  # a fork of this process would wait for threads it has not
    context.set_forkserver_preload(PRELOADED)
    done = first
    while done < first + count:
        last = min(done + CHUNK, first + count)
        results: Any = context.Queue()
        process = context.Process(target=_run, args=(what, done, last, results))
        process.start()
        done = _collect(tally, process, results, done, last)
    return tally


def _collect(tally: Tally, process: Any, results: Any, done: int, last: int) -> int:
    """Take in what a process says, until its end, its death or a stall; returns the next case."""
    while done < last:
        try:
            passed, sentence = results.get(timeout=MOST_SECONDS if process.is_alive() else 1.0)
        except queue.Empty:
            how = f"no answer within {MOST_SECONDS:g} s" if process.is_alive() else f"exit status {process.exitcode}"
            tally.tried += 1
            tally.fail(f"case {done}", how)
            process.kill()
            done += 1
            break
        tally.tried += 1
        if passed is None:
            tally.refuse(f"case {done}", sentence)
        elif passed:
            tally.passes()
        else:
            tally.fail(f"case {done}", sentence)
        done += 1
    process.join()
    return done


def _run(what: str, first: int, last: int, results: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    warnings.simplefilter("ignore")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    from LungNoduleCADLib.dicom.headers import quiet_pydicom
    from LungNoduleCADLib.errors import LungNoduleCADError

    for number in range(first, last):
        with tempfile.TemporaryDirectory() as work, quiet_pydicom():
            try:
                TARGETS[what](number, Path(work))
            except LungNoduleCADError as error:
                results.put((None, str(error)))
            except BaseException as error:
                results.put((False, _where(error)))
            else:
                results.put((True, ""))
    results.close()
    results.join_thread()


def _where(error: BaseException) -> str:
    """What came out, and the last line of ours that it came through."""
    import traceback

    ours = [f for f in traceback.extract_tb(error.__traceback__) if "LungNoduleCADLib" in f.filename]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "elsewhere"
    return f"{type(error).__name__} at {place}: {str(error)[:200]}"
