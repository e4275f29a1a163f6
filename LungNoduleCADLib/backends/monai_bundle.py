"""A MONAI segmentation bundle in a folder, as detector and as segmenter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from LungNoduleCADLib.backends.bundle_config import BundleConfig, target_name, transforms_of
from LungNoduleCADLib.backends.detector import in_lungs
from LungNoduleCADLib.backends.image_axes import ImageAxes
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate, Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError
from LungNoduleCADLib.imaging.patch import AIR_HU
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.networks.placed import Placed

NODULE_WORDS = ("nodule", "lesion", "tumor", "tumour", "cancer", "mass")
READING_STEPS = {"LoadImaged", "EnsureChannelFirstd", "AddChanneld", "AsChannelFirstd"}
SPATIAL_STEPS = {"Orientationd", "Spacingd"}
SMALLEST_MM3 = 14.0
SEED_REACH_MM = 4.0


@dataclass
class SegmentationBundle:
    """Runs a bundle's preprocessing, network and inferer on a whole CT.

    Orientation and spacing are brought about here (linear, first of all), intensities by the bundle's own steps. Its
    nodule channel becomes a probability on the native grid; connected parts of at least one half are nodules. A scan
    is run once and remembered until another one comes.

    ``spacing_mm``: along the image's axes, ``None`` for the CT's own; ``channel`` of ``channels`` outputs means nodule;
    ``exclusive`` says that the outputs exclude each other (softmax).
    """

    network: torch.nn.Module
    axes: ImageAxes
    spacing_mm: tuple[float, ...] | None
    intensities: Callable[[dict[str, Any]], dict[str, Any]]
    key: str
    inferer: Callable[..., torch.Tensor]
    channel: int
    channels: int
    exclusive: bool
    method: Method
    device: str
    threshold: float = 0.5
    _last: tuple[CtVolume, np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.placed = Placed([self.network], self.device)

    @classmethod
    def from_folder(cls, folder: Path, device: str, *, allow_code: bool = False) -> SegmentationBundle:
        """Raises ModelError where the bundle is incomplete, does not say where nodules are, or would run code."""
        config = BundleConfig(folder, allow_code=allow_code)
        steps = transforms_of(config.inference, "preprocessing")
        axes, spacing_mm = _spatial(config, steps)
        config.inference["preprocessing"] = {
            "_target_": "Compose",
            "transforms": [step for step in steps if target_name(step) not in READING_STEPS | SPATIAL_STEPS],
        }
        network = config.build("network_def")
        method = config.load_into(network)
        channels = _channels(config)
        return cls(
            network=network.eval(),
            axes=axes,
            spacing_mm=spacing_mm,
            intensities=config.build("preprocessing"),
            key=_first_key(steps),
            inferer=config.build("inferer"),
            channel=_nodule_channel(channels, folder.name),
            channels=len(channels),
            exclusive=len(channels) > 1 and not _independent(config),
            method=method,
            device=device,
        )

    def __call__(self, ct: CtVolume, lungs: LungMask) -> list[NoduleCandidate]:
        """Every connected part of at least 14 mm³ (a ball of 3 mm) in the lungs; its highest value as probability."""
        probability, labels = self._answer(ct)
        found = []
        for number, box in enumerate(ndimage.find_objects(labels), 1):
            part = labels[box] == number
            volume_mm3 = float(np.count_nonzero(part)) * ct.geometry.voxel_volume_mm3
            if volume_mm3 < SMALLEST_MM3:
                continue
            centre = ct.geometry.to_lps_mm(np.argwhere(part).mean(axis=0) + [side.start for side in box])
            found.append(
                NoduleCandidate(
                    tuple(float(v) for v in centre),  # type: ignore[arg-type]
                    float((6.0 * volume_mm3 / np.pi) ** (1 / 3)),
                    float(probability[box][part].max()),
                )
            )
        return in_lungs(found, lungs)

    def segment(self, ct: CtVolume, point_lps_mm: Point) -> NoduleMask | None:
        """The connected part nearest to a point, or ``None`` where there is none within 4 mm of it."""
        _, labels = self._answer(ct)
        middle = np.rint(ct.geometry.to_kji(point_lps_mm)).astype(int)
        reach = np.ceil(SEED_REACH_MM / np.asarray(ct.geometry.spacing_kji_mm)).astype(int)
        start = np.maximum(middle - reach, 0)
        near = labels[tuple(slice(a, max(b, a)) for a, b in zip(start, middle + reach + 1, strict=True))]
        voxels = np.argwhere(near) + start
        distance_mm = np.linalg.norm(ct.geometry.to_lps_mm(voxels) - point_lps_mm, axis=1)
        if distance_mm.min(initial=np.inf) > SEED_REACH_MM:
            return None
        number = labels[tuple(voxels[distance_mm.argmin()])]
        box = ndimage.find_objects(labels)[number - 1]
        first = tuple(int(side.start) for side in box)
        return NoduleMask(labels[box] == number, first, ct.geometry, self.method)  # type: ignore[arg-type]

    def _answer(self, ct: CtVolume) -> tuple[np.ndarray, np.ndarray]:
        """Probability and connected parts, of the last scan from memory."""
        if self._last is None or self._last[0] is not ct:
            probability = self.probability(ct)
            self._last = ct, probability, ndimage.label(probability >= self.threshold)[0]
        return self._last[1:]

    @torch.inference_mode()
    def probability(self, ct: CtVolume) -> np.ndarray:
        """Probability (float32) of nodule on the CT's own grid."""
        grid = self._grid(ct.geometry)
        hu = self.axes.image(resample(ct.hu.astype(np.float32), ct.geometry, grid, outside=AIR_HU))
        image = torch.as_tensor(self.intensities({self.key: torch.from_numpy(hu)[None]})[self.key]).float()
        logits = self.inferer(image[None], lambda piece: self.placed(_first_answer, piece)[0])
        wanted = (1, self.channels, *hu.shape)
        if tuple(logits.shape) != wanted:
            raise ModelError(
                f"{self.method.name} does not answer as its metadata says",
                expected=str(wanted),
                got=str(tuple(logits.shape)),
            )
        logits = logits.float()
        answers = torch.softmax(logits, dim=1) if self.exclusive else torch.sigmoid(logits)
        values = self.axes.array(answers[0, self.channel].cpu().numpy())
        return resample(values, grid, ct.geometry)

    def _grid(self, native: Geometry) -> Geometry:
        """The CT's box at the network's spacing, outer faces on outer faces as far as whole voxels allow."""
        if self.spacing_mm is None:
            return native
        spacing = np.asarray(self.axes.sizes_kji(self.spacing_mm))
        shape = np.maximum(np.rint(np.asarray(native.extent_kji_mm) / spacing), 1).astype(int)
        first = native.to_lps_mm((spacing / native.spacing_kji_mm - 1) / 2)
        return replace(
            native,
            shape_kji=tuple(int(n) for n in shape),  # type: ignore[arg-type]
            origin_lps_mm=tuple(float(v) for v in first),  # type: ignore[arg-type]
            spacing_kji_mm=tuple(float(v) for v in spacing),  # type: ignore[arg-type]
        )


def _first_answer(networks: Sequence[torch.nn.Module], piece: torch.Tensor) -> tuple[torch.Tensor]:
    """Of one network, which may give others beside it."""
    answer = networks[0](piece)
    return (answer[0] if isinstance(answer, (tuple, list)) else answer,)


def _spatial(config: BundleConfig, steps: list[dict[str, Any]]) -> tuple[ImageAxes, tuple[float, ...] | None]:
    """What the bundle's ``Orientationd`` (RAS if it has none) and ``Spacingd`` ask for."""
    named = {target_name(step): step for step in steps}
    codes = config.resolve(named.get("Orientationd", {}).get("axcodes", "RAS"))
    spacing = config.resolve(named.get("Spacingd", {}).get("pixdim"))
    try:
        values = None if spacing is None else tuple(float(v) for v in np.broadcast_to(np.asarray(spacing, float), 3))
        if values is not None and min(values) <= 0:
            raise ValueError(f"a spacing of {values}")
        return ImageAxes("".join(codes)), values
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{config.folder.name} turns or scales images in a way that is not known here", got=str(error)
        ) from error


def _first_key(steps: list[dict[str, Any]]) -> str:
    keys = steps[0].get("keys", "image") if steps else "image"
    key = keys[0] if isinstance(keys, list) and keys else keys
    return key if isinstance(key, str) and not key.startswith(("@", "$")) else "image"


def _channels(config: BundleConfig) -> dict[int, str]:
    """What each output channel means, as the metadata say."""
    outputs = config.metadata.get("network_data_format", {}).get("outputs", {})
    first = next(iter(outputs.values()), {}) if isinstance(outputs, dict) else {}
    return {int(number): str(meaning) for number, meaning in first.get("channel_def", {}).items()}


def _nodule_channel(channels: dict[int, str], name: str) -> int:
    """The one channel that is called after nodules, or the only one that is not background."""
    named = [n for n, meaning in channels.items() if any(word in meaning.lower() for word in NODULE_WORDS)]
    foreground = [n for n, meaning in channels.items() if meaning.lower() != "background"]
    for chosen in (named, foreground):
        if len(chosen) == 1:
            return chosen[0]
    raise ModelError(
        f"The MONAI bundle {name} does not say which of its outputs is the nodule",
        expected="one output named nodule, lesion, tumour or cancer in channel_def of metadata.json",
        got=", ".join(channels.values()) or "no channel_def",
    )


def _independent(config: BundleConfig) -> bool:
    """Whether the bundle's own postprocessing treats its outputs as independent of one another."""
    steps = transforms_of(config.inference, "postprocessing")
    return any(target_name(step) == "Activationsd" and step.get("sigmoid") is True for step in steps)
