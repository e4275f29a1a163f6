"""TotalSegmentator's ``lung_nodules`` as detector: a program of its own, run as one, never installed by this one.

It keeps its settings and weights in a folder of ours, where its usage statistics are switched off, and it is only run
when the weights are there already, since it would download them by itself otherwise. Its accuracy was not published.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.backends.detector import in_lungs
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError
from LungNoduleCADLib.imaging.sitk_bridge import to_sitk

NAME = "totalsegmentator_lung_nodules"
PACKAGE = "TotalSegmentator"
TASK, NODULE_LABEL = "lung_nodules", 2
PROGRAM, DOWNLOADER = "TotalSegmentator", "totalseg_download_weights"
# the nodules' network, and the coarse one that finds the lungs first
WEIGHTS = {"lung_nodules": "Dataset913_*", "total_fast": "Dataset298_*"}
SMALLEST_MM3 = 14.0
FETCH_TIMEOUT_S, RUN_TIMEOUT_S = 3600, 3600


class TotalSegmentatorBackend:
    """Connected parts of its nodule mask as candidates; they have no probability, so the bundled encoder rates them.

    Parameters
    ----------
    home : folder for its settings and weights.

    Raises
    ------
    ModelError : the program or its weights are missing.
    """

    threshold = None

    def __init__(self, home: Path, device: str) -> None:
        self.program, self.home, self.device = find_program(PROGRAM), home, device
        missing = [task for task, pattern in WEIGHTS.items() if not any((home / "nnunet/results").glob(pattern))]
        if missing:
            raise ModelError(
                "TotalSegmentator's weights are not here",
                expected=", ".join(missing),
                got=f"none in {home}",
                todo=f"fetch them: lungnodulecad bundles fetch {NAME}",
            )

    @property
    def method(self) -> Method:
        try:
            return Method(NAME, version(PACKAGE))
        except PackageNotFoundError:
            return Method(NAME, "unknown")

    def __call__(self, ct: CtVolume, lungs: LungMask) -> list[NoduleCandidate]:
        """Every connected part of at least 14 mm³ (a ball of 3 mm) in the lungs, largest first."""
        labels, count = ndimage.label(self._labels(ct) == NODULE_LABEL)
        volumes_mm3 = np.bincount(labels.ravel(), minlength=count + 1) * ct.geometry.voxel_volume_mm3
        numbers = [n for n in np.argsort(-volumes_mm3[1:], kind="stable") + 1 if volumes_mm3[n] >= SMALLEST_MM3]
        centres = ndimage.center_of_mass(labels > 0, labels, numbers)
        found = [
            NoduleCandidate(
                tuple(float(v) for v in ct.geometry.to_lps_mm(centre)),  # type: ignore[arg-type]
                float((6.0 * volumes_mm3[n] / np.pi) ** (1 / 3)),
            )
            for n, centre in zip(numbers, centres, strict=True)
        ]
        return in_lungs(found, lungs)

    def _labels(self, ct: CtVolume) -> np.ndarray:
        """Its label map on the CT's grid."""
        with tempfile.TemporaryDirectory() as folder:
            scan, answer = Path(folder, "ct.nii.gz"), Path(folder, "labels.nii.gz")
            sitk.WriteImage(to_sitk(ct.hu, ct.geometry), str(scan))
            device = self.device.replace("cuda:", "gpu:").replace("cuda", "gpu")
            command = [self.program, "-i", str(scan), "-o", str(answer), "-ta", TASK, "--ml", "-d", device, "-q"]
            _run(command, self.home, RUN_TIMEOUT_S)
            if not answer.is_file():
                raise ModelError("TotalSegmentator gave no answer", expected="a label map")
            labels = sitk.GetArrayFromImage(sitk.ReadImage(str(answer)))
        if labels.shape != ct.hu.shape:
            raise ModelError(
                "TotalSegmentator's answer is on another grid", expected=str(ct.hu.shape), got=str(labels.shape)
            )
        return labels


def find_program(name: str) -> str:
    """The path of an installed program of TotalSegmentator's; ModelError where it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise ModelError(
            "TotalSegmentator is not installed",
            expected=f"the program {name} on the PATH",
            todo=f"install it yourself, best in an environment of its own: pip install {PACKAGE}",
        )
    return found


def fetch_weights(home: Path) -> None:
    """Let TotalSegmentator download the weights that the task needs into ``home``.

    Raises
    ------
    ModelError : it is not installed, or it failed.
    """
    downloader = find_program(DOWNLOADER)
    for task in WEIGHTS:
        _run([downloader, "-t", task], home, FETCH_TIMEOUT_S)


def _run(command: list[str], home: Path, timeout_s: int) -> None:
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "config.json"
    if not settings.is_file():
        settings.write_text(
            json.dumps({"totalseg_id": "lungnodulecad", "send_usage_stats": False, "prediction_counter": 0}),
            encoding="utf-8",
        )
    environment = {key: value for key, value in os.environ.items() if key != "TOTALSEG_WEIGHTS_PATH"}
    environment["TOTALSEG_HOME_DIR"] = str(home)
    try:
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise ModelError("TotalSegmentator did not end", expected=f"an end within {timeout_s} s") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines()
        raise ModelError(
            "TotalSegmentator failed", got=said[-1][:200] if said else f"exit {error.returncode}"
        ) from error
