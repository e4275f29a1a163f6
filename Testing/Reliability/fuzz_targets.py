"""What is fuzzed: the files that are changed, and how the product reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEEDS = Path(__file__).parent / "seeds"
SYNTAXES = ("as it is", "enhanced multi-frame", "RLE", "JPEG 2000 lossless", "JPEG-LS lossless", "JPEG lossless",
            "JPEG of 12 bits", "deflated", "big endian", "implicit VR")  # fmt: skip
SLICES = 10  # as few as a series may have


@dataclass(frozen=True)
class Target:
    """``seeds`` writes folders with good files into a folder; ``read`` reads one that was changed, among its
    neighbours, as the product does."""

    seeds: Callable[[Path], None]
    read: Callable[[Path], Any]


def _dicom_seeds(folder: Path) -> None:
    from chest_series import READ, READ_NEARLY, chest

    from LungNoduleCADLib.phantom.dicom import write_dicom_series

    changes = READ | {name: change for name, (change, _) in READ_NEARLY.items()}
    for name in SYNTAXES:
        write_dicom_series(chest(SLICES, rows=32, columns=40), folder / name)
        changes[name](folder / name)


def _read_dicom(file: Path) -> Any:
    """One file, or all of its series where it is the first or the only one."""
    from LungNoduleCADLib.dicom.load import decode_file, load_ct

    first = min(file.parent.iterdir())
    return load_ct(file.parent) if file == first else decode_file(file)


def _image_seeds(folder: Path) -> None:
    import SimpleITK as sitk
    from chest_series import chest

    from LungNoduleCADLib.imaging.sitk_bridge import to_sitk

    ct = chest(SLICES, rows=32, columns=40)
    for name in ("ct.nii", "ct.nii.gz", "ct.nrrd", "ct.mha"):
        (folder / name).mkdir()
        sitk.WriteImage(to_sitk(ct.hu, ct.geometry), str(folder / name / name))


def _read_image(file: Path) -> Any:
    from LungNoduleCADLib.dicom.load import load_ct

    return load_ct(file)


def _findings_seeds(folder: Path) -> None:
    """The result of the demo, of an earlier version, cut to one nodule; and the same as written today."""
    from LungNoduleCADLib.report.findings_json import read_findings, to_json, write_document

    earlier, present = folder / "earlier version", folder / "present version"
    earlier.mkdir()
    present.mkdir()
    document = _with_one_nodule(json.loads((SEEDS / "findings.json").read_text(encoding="utf-8")))
    (earlier / "findings.json").write_text(json.dumps(document), encoding="utf-8")
    write_document(to_json(read_findings(earlier)), present / "findings.json")


def _with_one_nodule(document: dict[str, Any]) -> dict[str, Any]:
    """Lists cut to what shows their form; of the prior, the nodule that the kept one was matched with."""
    match = next(match for match in document["comparison"]["matches"] if match["volume_change_percent"] is not None)
    document["comparison"]["matches"] = [match]
    for study, kept in ((document, match["current_id"]), (document["prior"], match["prior_id"])):
        study["nodules"] = [nodule for nodule in study["nodules"] if nodule["id"] == kept]
        for nodule in study["nodules"]:
            nodule["radiomics"] = dict(list(nodule["radiomics"].items())[:3])
            nodule["clinical_risk"] = nodule["clinical_risk"][:1]
        study["candidates"], study["operating_points"] = study["candidates"][:1], study["operating_points"][:1]
        for name in ("packages", "stages", "models"):
            if name in study["provenance"]:
                part = study["provenance"][name]
                study["provenance"][name] = dict(list(part.items())[:2]) if isinstance(part, dict) else part[:2]
    return document


def _read_findings(file: Path) -> Any:
    """Read, and written again: what was taken has to fit the schema."""
    from LungNoduleCADLib.report.findings_json import read_findings, to_json

    return to_json(read_findings(file.parent))


def _clinical_seeds(folder: Path) -> None:
    (folder / "clinical").mkdir()
    shutil.copy(SEEDS / "clinical.json", folder / "clinical")


def _read_clinical(file: Path) -> Any:
    from LungNoduleCADLib.cli.work import read_clinical

    return read_clinical(file)


def _bundle_seeds(folder: Path) -> None:
    from LungNoduleCADLib.bundles.registry import find_bundle

    source = find_bundle("nodule_fusion").path
    shutil.copytree(source, folder / source.name)


def _read_bundle(file: Path) -> Any:
    """Taken, or said what is wrong; weights that were changed are never read."""
    from LungNoduleCADLib.bundles.registry import find_bundle
    from LungNoduleCADLib.bundles.spec import Bundle
    from LungNoduleCADLib.bundles.weights import sha256_of
    from LungNoduleCADLib.training.verify import verify_bundle

    shipped = find_bundle("nodule_fusion")
    path = next(parent for parent in file.parents if parent.name == shipped.name)
    problems = verify_bundle(Bundle(path))
    expected = shipped.weight_files.get(file.relative_to(path).as_posix())
    if expected and expected != sha256_of(file) and not problems:
        raise AssertionError("changed weights were taken")
    return problems


TARGETS = {
    "findings.json": Target(_findings_seeds, _read_findings),
    "clinical.json": Target(_clinical_seeds, _read_clinical),
    "model bundles": Target(_bundle_seeds, _read_bundle),
    "DICOM files": Target(_dicom_seeds, _read_dicom),
    "image files": Target(_image_seeds, _read_image),
}
