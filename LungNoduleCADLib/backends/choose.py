"""From what a person types after ``--detector`` or ``--segmenter`` to the thing itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LungNoduleCADLib.backends.detector import Detector, Segmenter
from LungNoduleCADLib.backends.remote import backends_folder
from LungNoduleCADLib.backends.totalsegmentator import NAME as TOTALSEGMENTATOR
from LungNoduleCADLib.errors import UsageError

if TYPE_CHECKING:
    from LungNoduleCADLib.backends.monai_bundle import SegmentationBundle


@dataclass(frozen=True)
class Backends:
    """What a person named to take the place of the bundled detector and segmenter; nothing: the bundled ones work."""

    detector: str | None = None
    segmenter: str | None = None
    allow_code: bool = False

    def opened(self, device: str) -> dict[str, Any]:
        """{``detector``, ``segmenter``: opened} of what was named; errors as ``open_detector``."""
        named = (("detector", self.detector, open_detector), ("segmenter", self.segmenter, open_segmenter))
        return {kind: find(name, device, allow_code=self.allow_code) for kind, name, find in named if name is not None}


def open_detector(name: str, device: str, *, allow_code: bool = False) -> Detector:
    """A fetched back-end by name, or a MONAI bundle by its folder.

    Parameters
    ----------
    allow_code : let a bundle run code of its own (see ``bundle_config``).

    Raises
    ------
    UsageError : there is none of that name.
    ModelError : it is incomplete, or cannot be used here.
    """
    if name == TOTALSEGMENTATOR:
        from LungNoduleCADLib.backends.totalsegmentator import TotalSegmentatorBackend

        return TotalSegmentatorBackend(backends_folder() / name, device)
    from LungNoduleCADLib.backends.bundle_config import BundleConfig
    from LungNoduleCADLib.backends.retinanet import RetinaNetBackend, is_retinanet

    folder = _bundle_folder(name)
    if is_retinanet(BundleConfig(folder)):
        return RetinaNetBackend.from_folder(folder, device)
    return _segmentation_bundle(folder, device, allow_code)


def open_segmenter(name: str, device: str, *, allow_code: bool = False) -> Segmenter:
    """A MONAI segmentation bundle by its folder; parameters and errors as ``open_detector``."""
    return _segmentation_bundle(_bundle_folder(name), device, allow_code)


def _segmentation_bundle(folder: Path, device: str, allow_code: bool) -> SegmentationBundle:
    from LungNoduleCADLib.backends.monai_bundle import SegmentationBundle

    return SegmentationBundle.from_folder(folder, device, allow_code=allow_code)


def _bundle_folder(name: str) -> Path:
    """A folder as it is, else a fetched bundle."""
    for folder in (Path(name), backends_folder() / name):
        if folder.is_dir():
            return folder.resolve()
    fetched = sorted(path.name for path in backends_folder().glob("*") if path.is_dir())
    raise UsageError(
        "There is no such back-end",
        expected=" or ".join(["the folder of a MONAI bundle", *fetched]),
        got=name,
        todo="lungnodulecad bundles list --remote says what can be fetched",
    )
