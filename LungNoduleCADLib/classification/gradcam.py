"""Class activation maps of an encoder head on the CT: hot where the score comes from, on an absolute scale."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial
from itertools import chain
from threading import Lock
from typing import Any

import numpy as np
import torch
from monai.visualize import GradCAM, GradCAMpp, ModelWithHooks
from monai.visualize.visualizer import default_upsampler
from torch import Tensor, nn

from LungNoduleCADLib.classification.encoder import Answers, EncoderRunner, mirror_images, network_input, said
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Saliency
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.networks.build import autocast
from LungNoduleCADLib.networks.nodule_encoder import HEADS, STAGES, NoduleEncoder


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
        """The stage that is given what the first layer gives; gradients go back as far as that."""
        return STAGES[STAGES.index(self.layers[0]) + 1]


CHOSEN = HeatMethod()
"""Measured against others in Testing/Benchmarks/saliency.json."""
MARGIN_MM = 2.0
"""Around a nodule; what is hot there speaks of its edge."""


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
        seen = self.look(network_input(views).to(self._cams[0].nn_module.device))
        return self.mapped_back(seen, patch_hu.shape[-1])[:2]

    def look(self, x: Tensor) -> tuple[Tensor, ...]:
        """One pass there and back for views (B, 1, D, D, D) of a patch.

        Of each layer the heat (B, d, d, d), positive and negative, on its own grid; the logits (B,); and what each
        network said (``encoder.said``).
        """
        heat, answers = zip(*(self._of_one(cam, x) for cam in self._cams), strict=True)
        return *(torch.stack(parts).mean(0) for parts in zip(*heat, strict=True)), *chain.from_iterable(answers)

    def mapped_back(self, seen: Sequence[Tensor], size: int) -> tuple[np.ndarray, float, Sequence[Tensor]]:
        """Heat >= 0 (D, D, D) and logit of a patch of ``size`` D voxels, means over layers and views (its 8 mirror
        images, or itself alone), and what the networks said, from what ``look`` gave."""
        layers, (logits, *answers) = seen[: len(self._method.layers)], seen[len(self._method.layers) :]
        turned_back = [
            np.mean([mirror_images(one)[n] for n, one in enumerate(heat.cpu().numpy())], 0) for heat in layers
        ]
        enlarge = default_upsampler((size,) * 3)
        heat = torch.stack([enlarge(torch.from_numpy(one)[None, None])[0, 0] for one in turned_back]).mean(0)
        return heat.clamp(min=0).numpy(), float(logits.mean()), answers

    def _of_one(self, cam: GradCAM, x: Tensor) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Heat of each layer and logits, and all that a network said."""
        seen = cam.nn_module.model
        with torch.no_grad(), autocast(x.device.type):
            given = seen.network.before(self._method.onwards, x)
        given = given.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
        patch_cm3 = (x.shape[-1] * self._spacing_mm / 10) ** 3
        layers = [cam(given, class_idx=0, layer_idx=n)[:, 0].detach() for n in range(len(self._method.layers))]
        return [*(heat * (heat[0].numel() / patch_cm3) for heat in layers), seen.logits(seen.said)], seen.said


class _OneHead(nn.Module):
    """A copy of an encoder from one stage on, seen through one head, as MONAI's Grad-CAM wants it: (B, 1) scores."""

    def __init__(self, network: NoduleEncoder, stage: str, head: str, output: int) -> None:
        super().__init__()
        self.given = nn.Identity()  # to be named as a layer
        self.network, self.stage, self.output = deepcopy(network), stage, output
        self.head = [known.name for known in HEADS].index(head)
        self.said: tuple[Tensor, ...] = ()

    def forward(self, given: Tensor) -> Tensor:
        answers = said(self.network, self.given(given), self.stage)
        self.said = tuple(answer.detach() for answer in answers)
        return self.logits(answers)[:, None]

    def logits(self, answers: Sequence[Tensor]) -> Tensor:
        """(B,) of what was said."""
        return answers[self.head][:, self.output]


class _OnePass(ModelWithHooks):
    """MONAI's hooks, run once for a batch however many layers are read.

    Without the factor exp(score) of MONAI's Grad-CAM++, which would take the unit from the heat.
    """

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
            self.score = torch.zeros((), device=x.device)
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


@dataclass(frozen=True)
class Look:
    """What an ensemble saw of an HU patch (D, D, D) in its 8 mirror images.

    Parameters
    ----------
    answers : of each network, to the mirror images; the first is the patch as it lies.
    heat : (D, D, D) >= 0, where the score of ``head`` comes from.
    score : that head's mean logit.
    """

    answers: list[Answers]
    heat: np.ndarray
    score: float
    head: str


def look(runner: EncoderRunner, patch_hu: np.ndarray, head: str = "malignancy", output: int = 0) -> Look:
    """Answers and the heat map of a head's output, in one pass of each network there and back."""
    size, made = patch_hu.shape[-1], partial(_explainer, spacing_mm=runner.spacing_mm, head=head, output=output)
    with _ONE_AT_A_TIME:
        seen = runner.placed(lambda networks, x: made(networks).look(x), network_input(mirror_images(patch_hu)))
    heat, score, answers = made(runner.networks).mapped_back(seen, size)
    return Look(runner.by_member(answers), heat, score, head)


def explain_malignancy(
    seen: Look, grid: Geometry, native: Geometry, malignancy: MalignancyEstimate, method: Method
) -> Saliency | None:
    """Where in a patch the malignancy score comes from; ``None`` where that score is low (``Saliency.score_is_low``).

    Parameters
    ----------
    seen : of an HU patch on ``grid``.
    native : CT grid; the map comes back on its voxels, cropped to the patch.
    """
    if Saliency.score_is_low(malignancy.probability, malignancy.encoder_probability):
        return None
    return explain(seen, grid, native, method)


def explain(seen: Look, grid: Geometry, native: Geometry, method: Method) -> Saliency:
    """Where in a patch the score comes from, high or low; parameters as ``explain_malignancy``."""
    box = _native_box(grid, native)
    heat = resample(seen.heat.astype(np.float32), grid, box)
    return Saliency(heat, box, seen.head, seen.score, method, CHOSEN.technique.value)


def doubts_of_map(saliency: Saliency, outline: NoduleMask) -> tuple[QualityFlag, ...]:
    """``heat_beside`` where a map is hottest beside an outline and a margin of ``MARGIN_MM``."""
    if not saliency.heat.any():
        return ()
    hottest = np.unravel_index(saliency.heat.argmax(), saliency.heat.shape)
    distance_mm = outline.distance_mm(saliency.geometry.to_lps_mm(hottest))
    if distance_mm <= MARGIN_MM:
        return ()
    message = (
        f"The heat map is hottest {distance_mm:.0f} mm beside the outline: "
        "part of what raises the malignancy score lies around the nodule."
    )
    return (QualityFlag("heat_beside", Severity.INFO, message),)


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
