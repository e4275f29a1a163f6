"""RetinaNet detectors of MONAI's kind (monai.apps.detection), as in its zoo's ``lung_nodule_ct_detection``.

The zoo's configuration assembles the network by expressions, which would be code of unknown origin. Here the same
network is assembled from the numbers in it, so that nothing of it is run.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool
from monai.networks.nets.resnet import ResNet, resnet50
from torch import Tensor, nn

from LungNoduleCADLib.backends.bundle_config import BundleConfig, target_name, transforms_of
from LungNoduleCADLib.backends.detector import in_lungs
from LungNoduleCADLib.backends.image_axes import ImageAxes
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError
from LungNoduleCADLib.imaging.patch import AIR_HU
from LungNoduleCADLib.imaging.sitk_bridge import resample

RETURNED_LAYERS = (1, 2)
FPN_CHANNELS = 256
STEM_STRIDE, STEM_SIZE = (2, 2, 1), (7, 7, 7)
SIZE_DIVISIBLE = (16, 16, 8)
CPU_PATCH = (192, 192, 96)
OVERLAP = 0.25
LEAST_SCORE, NMS_OVERLAP, MOST_CANDIDATES, MOST_PER_LEVEL = 0.02, 0.22, 300, 1000
MARGIN_MM = 20.0
RAS = ImageAxes("RAS")


class PyramidFeatures(nn.Module):
    """Feature maps of a ResNet's first stages through a feature pyramid; parameters named as in the zoo's weights."""

    out_channels = FPN_CHANNELS

    def __init__(self, backbone: ResNet, layers: tuple[int, ...] = RETURNED_LAYERS) -> None:
        super().__init__()
        last = f"layer{max(layers)}"
        children = list(backbone.named_children())
        kept = children[: [name for name, _ in children].index(last) + 1]
        self.names = tuple(f"layer{layer}" for layer in layers)
        self.body = nn.ModuleDict(OrderedDict(kept))
        channels = [backbone.in_planes // 8 * 2 ** (layer - 1) for layer in layers]
        self.fpn = FeaturePyramidNetwork(3, channels, FPN_CHANNELS, extra_blocks=LastLevelMaxPool(3))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """{"0": the finest map, …} from images (B, 1, X, Y, Z)."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        for name, layer in self.body.items():
            images = layer(images)
            if name in self.names:
                maps[str(len(maps))] = images
        return self.fpn(maps)


@dataclass(frozen=True)
class RetinaNetSettings:
    """Numbers of one detector. Axes x, y, z; anchor shapes in voxels of the finest feature map's image."""

    anchor_shapes: tuple[tuple[int, int, int], ...]
    feature_map_scales: tuple[int, ...]
    spacing_xyz_mm: tuple[float, float, float]
    window_hu: tuple[float, float]
    patch_xyz: tuple[int, int, int]

    @classmethod
    def of(cls, config: BundleConfig) -> RetinaNetSettings:
        """From a bundle's configuration as written; raises ModelError where a number is missing."""
        try:
            anchors = config.inference["anchor_generator"]
            steps = {target_name(step): step for step in transforms_of(config.inference, "preprocessing")}
            scale = steps["ScaleIntensityRanged"]
            if (scale["b_min"], scale["b_max"]) != (0.0, 1.0):
                raise ValueError(f"intensities scaled to {scale['b_min']} and {scale['b_max']}")
            return cls(
                tuple(tuple(int(v) for v in shape) for shape in anchors["base_anchor_shapes"]),  # type: ignore[misc]
                tuple(int(v) for v in anchors["feature_map_scales"]),
                tuple(float(v) for v in steps["Spacingd"]["pixdim"]),  # type: ignore[arg-type]
                (float(scale["a_min"]), float(scale["a_max"])),
                tuple(int(v) for v in config.inference["infer_patch_size"]),  # type: ignore[arg-type]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{config.folder.name} is no RetinaNet bundle as MONAI's zoo has it",
                expected="anchor_generator, Spacingd, ScaleIntensityRanged to 0..1 and infer_patch_size in inference",
                got=f"{type(error).__name__} {error}",
            ) from error


def is_retinanet(config: BundleConfig) -> bool:
    return target_name(config.inference.get("network_def")) == "RetinaNet"


def build_retinanet(settings: RetinaNetSettings) -> RetinaNetDetector:
    """The zoo's detector with random weights, on the CPU, in evaluation mode."""
    backbone = resnet50(spatial_dims=3, n_input_channels=1, conv1_t_stride=STEM_STRIDE, conv1_t_size=STEM_SIZE)
    anchors = AnchorGeneratorWithAnchorShape(settings.feature_map_scales, settings.anchor_shapes)
    network = RetinaNet(3, 1, len(settings.anchor_shapes), PyramidFeatures(backbone), SIZE_DIVISIBLE)
    detector = RetinaNetDetector(network, anchors, spatial_dims=3, num_classes=1, size_divisible=SIZE_DIVISIBLE)
    detector.set_box_selector_parameters(LEAST_SCORE, MOST_PER_LEVEL, NMS_OVERLAP, MOST_CANDIDATES)
    return detector.eval()


class RetinaNetBackend:
    """Boxes of a RetinaNet as candidates; the score as probability (not calibrated; ``threshold`` was not tuned)."""

    threshold = 0.5

    def __init__(self, detector: Any, settings: RetinaNetSettings, method: Method, device: str) -> None:
        self.detector, self.settings, self.method, self.device = detector, settings, method, device

    @classmethod
    def from_folder(cls, folder: Path, device: str) -> RetinaNetBackend:
        """Raises ModelError where the bundle is incomplete or its weights are of another network."""
        config = BundleConfig(folder)
        settings = RetinaNetSettings.of(config)
        detector = build_retinanet(settings)
        method = config.load_into(detector.network)
        return cls(detector.to(device), settings, method, device)

    def __call__(self, ct: CtVolume, lungs: LungMask) -> list[NoduleCandidate]:
        """Boxes in the lungs; the diameter is the mean of a box's edges. No lungs, no candidates."""
        if not lungs.labels.any():
            return []
        grid = self._grid(lungs)
        boxes, scores = self._boxes(resample(ct.hu.astype(np.float32), ct.geometry, grid, outside=AIR_HU))
        kji = RAS.indices_kji((boxes[:, :3] + boxes[:, 3:]) / 2, grid.shape_kji)
        diameters = ((boxes[:, 3:] - boxes[:, :3]) * self.settings.spacing_xyz_mm).mean(axis=1)
        found = [
            NoduleCandidate(tuple(float(v) for v in centre), float(diameter), float(score))  # type: ignore[arg-type]
            for centre, diameter, score in zip(grid.to_lps_mm(kji), diameters, scores, strict=True)
        ]
        return in_lungs(found, lungs)

    def _grid(self, lungs: LungMask) -> Geometry:
        """The network's spacing over the lungs and 20 mm around them, parallel to the CT."""
        native = lungs.geometry
        marked = [np.flatnonzero(lungs.labels.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        margin = MARGIN_MM / np.asarray(native.spacing_kji_mm)
        start = np.maximum([m[0] for m in marked] - margin, 0.0)
        stop = np.minimum([m[-1] for m in marked] + margin, np.asarray(native.shape_kji) - 1.0)
        spacing = np.asarray(RAS.sizes_kji(self.settings.spacing_xyz_mm))
        shape = np.ceil((stop - start) * native.spacing_kji_mm / spacing).astype(int) + 1
        origin = tuple(float(v) for v in native.to_lps_mm(start))
        return Geometry(tuple(int(n) for n in shape), origin, tuple(float(s) for s in spacing), native.direction)  # type: ignore[arg-type]

    @torch.inference_mode()
    def _boxes(self, hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 6) x, y, z from and to, in voxels of the image turned to RAS; scores (N,)."""
        low, high = self.settings.window_hu
        ras = RAS.image(np.clip((hu - low) / (high - low), 0.0, 1.0))
        self.detector.set_sliding_window_inferer(
            self._patch(ras.shape), sw_batch_size=1, overlap=OVERLAP, mode="constant", device="cpu"
        )
        found = self.detector([torch.from_numpy(ras)[None].to(self.device)], use_inferer=True)[0]
        score = found[self.detector.pred_score_key].float().cpu().numpy()
        return found[self.detector.target_box_key].float().cpu().numpy(), score

    def _patch(self, shape_xyz: tuple[int, ...]) -> tuple[int, ...]:
        """As large as the bundle says, the image has and (without a GPU) memory allows."""
        most = (
            self.settings.patch_xyz
            if self.device.startswith("cuda")
            else np.minimum(self.settings.patch_xyz, CPU_PATCH)
        )
        padded = [-(-n // step) * step for n, step in zip(shape_xyz, SIZE_DIVISIBLE, strict=True)]
        return tuple(int(min(a, b)) for a, b in zip(most, padded, strict=True))
