"""Grad-CAM of an encoder head on the CT: hot where the score comes from, on an absolute scale."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache

import numpy as np
from monai.visualize import GradCAM
from torch import Tensor, nn

from LungNoduleCADLib.classification.encoder import EncoderRunner, encoder_input
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.nodule import Saliency
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder

TARGET_LAYER = "network.backbone.layer2"


class _OneHead(nn.Module):
    """The encoder seen through one head, as MONAI's GradCAM wants it: (B, 1) scores."""

    def __init__(self, network: NoduleEncoder, head: str, output: int) -> None:
        super().__init__()
        self.network, self.head, self.output = network, head, output

    def forward(self, patches: Tensor) -> Tensor:
        return self.network(patches)[self.head][:, self.output : self.output + 1]


def _as_it_is(cam: np.ndarray) -> np.ndarray:
    """No stretching: MONAI's default normaliser maps every map to 0..1 and turns it upside down."""
    return cam


def explain(
    runner: EncoderRunner,
    patch_hu: np.ndarray,
    grid: Geometry,
    native: Geometry,
    head: str,
    method: Method,
    *,
    output: int = 0,
) -> Saliency:
    """Where in a patch the score of a head comes from.

    Parameters
    ----------
    patch_hu : HU (D, D, D) on ``grid``.
    native : CT grid; the map comes back on its voxels, cropped to the patch.

    Returns
    -------
    Saliency with heat >= 0 in units of the head's logit (Selvaraju et al. 2017: ReLU of the gradient-weighted sum of
    feature maps), and the logit as ``score``.
    """
    cam = _explainer(runner, head, output)
    x = encoder_input(patch_hu[None, None].astype(np.float32)).to(runner.device).requires_grad_()
    heat = np.asarray(cam(x, class_idx=0)[0, 0].detach().cpu(), np.float32)
    score = float(cam.nn_module.score.detach().sum())
    box = _native_box(grid, native)
    return Saliency(resample(np.maximum(heat, 0.0), grid, box), box, head, score, method)


@lru_cache(maxsize=4)
def _explainer(runner: EncoderRunner, head: str, output: int) -> GradCAM:
    """For a copy of the network as it is now, in evaluation mode and without gradients of its weights.

    One for all patches: hooks and copy refer to each other, so that each copy (70 MB) would stay for long.
    """
    network = _OneHead(deepcopy(runner.network), head, output).eval().requires_grad_(False)
    return GradCAM(network, TARGET_LAYER, postprocessing=_as_it_is)


def _native_box(grid: Geometry, native: Geometry) -> Geometry:
    """The part of the native grid that a patch covers."""
    size = np.asarray(grid.shape_kji) - 1
    corners = native.to_kji(
        grid.to_lps_mm([[k, j, i] for k in (0, size[0]) for j in (0, size[1]) for i in (0, size[2])])
    )
    limit = np.asarray(native.shape_kji)
    start = np.clip(np.ceil(corners.min(axis=0)).astype(int), 0, limit - 1)
    stop = np.clip(np.floor(corners.max(axis=0)).astype(int) + 1, start + 1, limit)
    return native.crop(tuple(int(v) for v in start), tuple(int(v) for v in stop - start))  # type: ignore[arg-type]
