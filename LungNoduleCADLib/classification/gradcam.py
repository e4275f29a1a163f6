"""Class activation maps of an encoder head on the CT: hot where the score comes from, on an absolute scale."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import torch
from monai.visualize import GradCAM, GradCAMpp, ModelWithHooks
from monai.visualize.visualizer import default_upsampler
from torch import Tensor, nn

from LungNoduleCADLib.classification.encoder import Answers, EncoderRunner, encoder_input, mirror_images
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Saliency
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.networks.build import autocast
from LungNoduleCADLib.networks.nodule_encoder import STAGES, NoduleEncoder


class Technique(StrEnum):
    """What weighs the feature maps: the mean of their gradients (Grad-CAM, Selvaraju et al. 2017), the positive ones
    (Grad-CAM++, Chattopadhay et al. 2018), or the gradients place by place: all of them (HiResCAM, Draelos & Carin
    2020) or the positive ones (LayerCAM, Jiang et al. 2021)."""

    GRAD_CAM = "Grad-CAM"
    GRAD_CAM_PP = "Grad-CAM++"
    HIRES_CAM = "HiResCAM"
    LAYER_CAM = "LayerCAM"


@dataclass(frozen=True)
class HeatMethod:
    """How a heat map is made: the mean over ``layers`` (of ``layer1`` to ``layer3``, in order) and, if ``mirrored``,
    over the patch's 8 mirror images, each map mapped back; negative sums are cut off at the end."""

    technique: Technique = Technique.LAYER_CAM
    layers: tuple[str, ...] = ("layer1", "layer2", "layer3")
    mirrored: bool = True

    @property
    def onwards(self) -> str:
        """The stage that is given what the first layer gives; a look is kept there, and a map goes on from it."""
        return STAGES[STAGES.index(self.layers[0]) + 1]


CHOSEN = HeatMethod()
"""Measured against others in Testing/Benchmarks/saliency.json."""


class Explainer:
    """Heat maps of one head (output) of an ensemble of encoders.

    For copies of the networks as they are now, in evaluation mode. One for all patches: hooks and copy refer to each
    other, so that each copy (up to 70 MB) would stay for long.
    """

    def __init__(
        self,
        networks: Sequence[NoduleEncoder],
        spacing_mm: float,
        head: str,
        output: int = 0,
        method: HeatMethod = CHOSEN,
    ) -> None:
        self._method, self._spacing_mm = method, spacing_mm
        self._cams = [_cam(_OneHead(network, method.onwards, head, output), method) for network in networks]

    def explain(self, patch_hu: np.ndarray) -> tuple[np.ndarray, float]:
        """Heat >= 0 (D, D, D) of an HU patch and the logit that it explains, means over networks (and views).

        Heat is logit per cm³, so that maps of layers of any resolution have one scale: were it not for biases,
        HiResCAM's would add up to the logit, LayerCAM's to what speaks for it. Nothing is stretched.
        """
        views = mirror_images(patch_hu) if self._method.mirrored else patch_hu[None]
        networks = [cam.nn_module.model.network for cam in self._cams]
        x = encoder_input(np.ascontiguousarray(views, np.float32))[:, None].to(self._cams[0].nn_module.device)
        with torch.no_grad(), autocast(x.device.type):
            given = torch.stack([network.before(self._method.onwards, x) for network in networks], dim=1)
        return mapped_back(self.of_given(given, patch_hu.shape[-1]), patch_hu.shape[-1])

    def of_given(self, given: Tensor, size: int) -> tuple[Tensor, ...]:
        """Of each layer the heat (B, d, d, d), positive and negative, on its own grid, and last the logits (B,).

        Parameters
        ----------
        given : (B, networks, C, d, d, d), what the method's first layer gave of views of a patch of ``size`` voxels.
        """
        each = [self._heat(cam, given[:, n], size) for n, cam in enumerate(self._cams)]
        return tuple(torch.stack(parts).mean(0) for parts in zip(*each, strict=True))

    def _heat(self, cam: GradCAM, given: Tensor, size: int) -> list[Tensor]:
        x = given.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
        patch_cm3 = (size * self._spacing_mm / 10) ** 3
        layers = [cam(x, class_idx=0, layer_idx=n)[:, 0].detach() for n in range(len(self._method.layers))]
        per_cm3 = [heat * (heat[0].numel() / patch_cm3) for heat in layers]
        return [*per_cm3, torch.from_numpy(cam.nn_module.logits).reshape(-1)]


def mapped_back(of_views: Sequence[Tensor], size: int) -> tuple[np.ndarray, float]:
    """Heat >= 0 (D, D, D) and logit of a patch of ``size`` D voxels: means over layers and views (its 8 mirror images,
    or itself alone), from ``of_given``."""
    *layers, logits = of_views
    turned_back = [np.mean([mirror_images(one)[n] for n, one in enumerate(heat.cpu().numpy())], 0) for heat in layers]
    enlarge = default_upsampler((size,) * 3)
    heat = torch.stack([enlarge(torch.from_numpy(one)[None, None])[0, 0] for one in turned_back]).mean(0)
    return heat.clamp(min=0).numpy(), float(logits.mean())


class _OneHead(nn.Module):
    """A copy of an encoder from one stage on, seen through one head, as MONAI's Grad-CAM wants it: (B, 1) scores."""

    def __init__(self, network: NoduleEncoder, stage: str, head: str, output: int) -> None:
        super().__init__()
        self.given = nn.Identity()  # to be named as a layer
        self.network, self.stage, self.head, self.output = deepcopy(network), stage, head, output

    def forward(self, given: Tensor) -> Tensor:
        with autocast(given.device.type):
            answers = self.network.answers(self.network.features(self.given(given), self.stage))
        return answers[self.head][:, self.output : self.output + 1]


class _OnePass(ModelWithHooks):
    """MONAI's hooks, run once for a batch however many layers are read.

    Without the factor exp(score) of MONAI's Grad-CAM++, which would take the unit from the heat.
    """

    logits: np.ndarray
    _seen: tuple[Tensor, Any] | None = None

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def __call__(self, x: Tensor, *arguments: Any, **keywords: Any) -> Any:
        if self._seen is None or self._seen[0] is not x:
            _, features, gradients = super().__call__(x, *arguments, **keywords)
            # a graph that is kept would keep its hooks, they this object, and no collector sees that ring
            self._seen = x, (None, [f.detach().float() for f in features], [g.detach().float() for g in gradients])
            self.activations = {layer: values.detach() for layer, values in self.activations.items()}
            self.gradients = {}
            self.logits, self.score = self.score.detach().cpu().numpy(), torch.zeros((), device=x.device)
        return self._seen[1]


class _HiResCam(GradCAM):
    """Signed: what speaks for a score and what speaks against it are weighed up over layers and views."""

    def compute_map(self, x: Tensor, class_idx: int | None = None, layer_idx: int = -1, **_: Any) -> Tensor:
        _, features, gradients = self.nn_module(x, class_idx=class_idx)
        return (self.weights(gradients[layer_idx]) * features[layer_idx]).sum(1, keepdim=True)

    def weights(self, gradients: Tensor) -> Tensor:
        return gradients


class _LayerCam(_HiResCam):
    """What speaks for a score, whatever speaks against it."""

    def weights(self, gradients: Tensor) -> Tensor:
        return gradients.clamp(min=0)


_CAMS = {
    Technique.GRAD_CAM: GradCAM,
    Technique.GRAD_CAM_PP: GradCAMpp,
    Technique.HIRES_CAM: _HiResCam,
    Technique.LAYER_CAM: _LayerCam,
}


def _cam(network: _OneHead, method: HeatMethod) -> GradCAM:
    """Maps of each layer's own size, without MONAI's normaliser, which stretches every map to 0..1 and turns it
    upside down."""
    network.eval().requires_grad_(False)
    layers = ("given", *(f"network.backbone.{layer}" for layer in method.layers[1:]))
    hooked = _OnePass(network, layers, register_forward=True, register_backward=True)
    return _CAMS[method.technique](hooked, layers, upsampler=lambda _: _as_it_is, postprocessing=_as_it_is)


def _as_it_is(heat: Tensor) -> Tensor:
    return heat


def look(runner: EncoderRunner, patch_hu: np.ndarray) -> tuple[list[Answers], Tensor]:
    """What each network answers of the mirror images of a patch, and what ``explain`` needs of that look."""
    return runner.look(mirror_images(patch_hu), CHOSEN.onwards)


def explain_malignancy(
    runner: EncoderRunner,
    given: Tensor,
    grid: Geometry,
    native: Geometry,
    malignancy: MalignancyEstimate,
    method: Method,
) -> Saliency | None:
    """Where in a patch the malignancy score comes from; ``None`` where that score is low (``Saliency.score_is_low``).

    Parameters
    ----------
    given : what ``look`` kept of an HU patch (D, D, D) on ``grid``.
    native : CT grid; the map comes back on its voxels, cropped to the patch.
    """
    if Saliency.score_is_low(malignancy.probability, malignancy.encoder_probability):
        return None
    return explain(runner, given, grid, native, "malignancy", method)


def explain(
    runner: EncoderRunner,
    given: Tensor,
    grid: Geometry,
    native: Geometry,
    head: str,
    method: Method,
    *,
    output: int = 0,
) -> Saliency:
    """Where in a patch the score of any head comes from, high or low; parameters as ``explain_malignancy``."""

    def of_given(networks: tuple[Any, ...], views: Tensor) -> tuple[Tensor, ...]:
        return _explainer(networks, runner.spacing_mm, head, output).of_given(views, grid.shape_kji[0])

    with _ONE_AT_A_TIME:
        of_views = runner.placed(of_given, given)
    heat, score = mapped_back(of_views, grid.shape_kji[0])
    box = _native_box(grid, native)
    return Saliency(resample(heat.astype(np.float32), grid, box), box, head, score, method, CHOSEN.technique.value)


_ONE_AT_A_TIME = Lock()
"""An explainer's hooks keep what they saw of one look."""


@lru_cache(maxsize=2)
def _explainer(networks: tuple[NoduleEncoder, ...], spacing_mm: float, head: str, output: int) -> Explainer:
    return Explainer(networks, spacing_mm, head, output)


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
