"""The peers of ``bench_peers.py``: their networks with random weights, and tiles as their own tools lay them."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.imaging.sitk_bridge import resample

# MONAI model zoo, lung_nodule_ct_detection 0.6.8, configs/inference.json; the patch is cut to what a CPU's memory holds
ZOO_SPACING_XYZ_MM, ZOO_OVERLAP = (0.703125, 0.703125, 1.25), 0.25
ZOO_ANCHORS = ((6, 8, 4), (8, 6, 5), (10, 10, 6))
# TotalSegmentator lung_nodules (task 913): one nnU-Net v2 3d_fullres at 1.5 mm, trained and run without mirroring, on
# the lungs (which another of its networks finds, not timed here) and 10 mm around; tile step 0.5. Patch and features
# stand in its plan file; these are nnU-Net's defaults for that spacing.
NNUNET_MM, NNUNET_PATCH, NNUNET_STEP = 1.5, 128, 0.5
NNUNET_FEATURES, NNUNET_CLASSES = (32, 64, 128, 256, 320, 320), 3
CROP_MARGIN_MM = 10.0
# lungmask 0.2.22: slices of 256 x 256 in batches of 20
LUNGMASK_SIZE, LUNGMASK_BATCH = 256, 20
REGISTRATION_MM = 2.0

Pass = Callable[[], Any]


class Missing(Exception):
    """What a peer needs is not installed here."""


def lung_extent_mm(lungs: LungMask, margin_mm: float = CROP_MARGIN_MM) -> tuple[float, float, float]:
    """Size (z, y, x) of the box around the lungs: all that TotalSegmentator looks at."""
    sides = []
    for axis, spacing, n in zip(range(3), lungs.geometry.spacing_kji_mm, lungs.labels.shape, strict=True):
        hit = np.flatnonzero(lungs.labels.any(axis=tuple(a for a in range(3) if a != axis)))
        sides.append(min(float(hit[-1] - hit[0] + 1) * spacing + 2 * margin_mm, n * spacing))
    return tuple(sides)  # type: ignore[return-value]


def tiles_along(size: int, patch: int, step: float) -> int:
    """Tiles that cover an axis, each moved by at most ``step`` of the patch."""
    return 1 if size <= patch else math.ceil((size - patch) / (patch * step)) + 1


def _tiles(sizes: Sequence[int], patches: Sequence[int], step: float) -> int:
    return math.prod(tiles_along(n, patch, step) for n, patch in zip(sizes, patches, strict=True))


@dataclass(frozen=True)
class Network:
    """A peer's network: one pass over a tile of ``shape``, and how many such tiles a scan has.

    ``made_of``: what it is built from.
    """

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    tiles: int
    made_of: str

    def once(self) -> Pass:
        """A pass with random weights and values."""
        torch.manual_seed(0)
        network, x = self.build().eval(), torch.randn(self.shape)
        return lambda: network(x)


def retinanet(box_zyx_mm: tuple[float, float, float]) -> Network:
    """The zoo's network (features, class and box heads; no anchors, no suppression)."""
    if importlib.util.find_spec("torchvision") is None:
        raise Missing("MONAI's detection needs torchvision, which is not installed here")
    try:
        from LungNoduleCADLib.backends.retinanet import (
            CPU_PATCH,
            SIZE_DIVISIBLE,
            STEM_SIZE,
            STEM_STRIDE,
            PyramidFeatures,
            RetinaNet,
            resnet50,
        )
    except ImportError as error:
        raise Missing(f"MONAI's detection needs torchvision ({error})") from error

    def build() -> nn.Module:
        backbone = resnet50(spatial_dims=3, n_input_channels=1, conv1_t_stride=STEM_STRIDE, conv1_t_size=STEM_SIZE)
        return RetinaNet(3, 1, len(ZOO_ANCHORS), PyramidFeatures(backbone), SIZE_DIVISIBLE)

    sizes = [round(mm / s) for mm, s in zip(box_zyx_mm[::-1], ZOO_SPACING_XYZ_MM, strict=True)]
    padded = [-(-n // step) * step for n, step in zip(sizes, SIZE_DIVISIBLE, strict=True)]
    patch = [min(n, most) for n, most in zip(padded, CPU_PATCH, strict=True)]
    return Network(build, (1, 1, *patch), _tiles(padded, patch, 1 - ZOO_OVERLAP), "MONAI RetinaNet")


def nnunet(box_zyx_mm: tuple[float, float, float]) -> Network:
    """nnU-Net's network, as TotalSegmentator's lung_nodules runs it."""
    stages = len(NNUNET_FEATURES)
    strides = (1,) + (2,) * (stages - 1)

    def plain() -> nn.Module:
        from dynamic_network_architectures.architectures.unet import PlainConvUNet

        return PlainConvUNet(
            1, stages, NNUNET_FEATURES, nn.Conv3d, 3, strides, 2, NNUNET_CLASSES, 2,
            conv_bias=True, norm_op=nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=False,
        )  # fmt: skip

    def alike() -> nn.Module:
        from monai.networks.nets import DynUNet

        return DynUNet(3, 1, NNUNET_CLASSES, [3] * stages, strides, strides[1:], filters=NNUNET_FEATURES)

    own = importlib.util.find_spec("dynamic_network_architectures") is not None
    tiles = _tiles([round(mm / NNUNET_MM) for mm in box_zyx_mm], [NNUNET_PATCH] * 3, NNUNET_STEP)
    made_of = "nnU-Net's own PlainConvUNet" if own else "MONAI's DynUNet of the same plan"
    return Network(plain if own else alike, (1, 1, *(NNUNET_PATCH,) * 3), tiles, made_of)


def lungmask(slices: int) -> Network:
    """R231's network on batches of slices: lungmask's own file where it is installed."""
    settings = {"n_classes": 3, "depth": 5, "wf": 6, "padding": True, "batch_norm": True, "up_mode": "upsample"}
    found = importlib.util.find_spec("lungmask")
    places = list(found.submodule_search_locations or ()) if found else []

    def own() -> nn.Module:
        spec = importlib.util.spec_from_file_location("lungmask_resunet", Path(places[0], "resunet.py"))
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        return module.UNet(**settings)

    shape = (min(slices, LUNGMASK_BATCH), 1, LUNGMASK_SIZE, LUNGMASK_SIZE)
    made_of = "lungmask's own U-Net" if places else "a U-Net of its plan"
    return Network(own if places else lambda: PlainUNet2d(3), shape, math.ceil(slices / LUNGMASK_BATCH), made_of)


class PlainUNet2d(nn.Module):
    """Five levels of two 3 x 3 convolutions with ReLU and batch norm, 64 to 1024 channels, upsampling by 1 x 1."""

    def __init__(self, classes: int, widths: Sequence[int] = (64, 128, 256, 512, 1024)) -> None:
        super().__init__()
        self.down = nn.ModuleList(_double(a, b) for a, b in zip((1, *widths), widths, strict=False))
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.thin = nn.ModuleList(nn.Conv2d(wide, narrow, 1) for wide, narrow in pairs)
        self.up = nn.ModuleList(_double(2 * narrow, narrow) for _, narrow in pairs)
        self.last = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for level in self.down:
            x = level(nn.functional.max_pool2d(kept[-1], 2) if kept else x)
            kept.append(x)
        for thin, level, beside in zip(self.thin, self.up, kept[-2::-1], strict=True):
            wider = nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = level(torch.cat([thin(wider), beside], 1))
        return torch.log_softmax(self.last(x), 1)


def _double(n_in: int, n_out: int) -> nn.Sequential:
    layers = []
    for n in (n_in, n_out):
        layers += [nn.Conv2d(n, n_out, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(n_out)]
    return nn.Sequential(*layers)


def elastix(fixed: CtVolume, moving: CtVolume) -> Pass:
    """Elastix with its own default parameters, rigid then B-spline, on both scans at 2 mm."""
    try:
        import itk
    except ImportError as error:
        raise Missing("itk-elastix is not installed") from error
    if not hasattr(itk, "ElastixRegistrationMethod"):
        raise Missing("itk is installed without elastix (itk-elastix)")

    def image(ct: CtVolume) -> Any:
        values, grid = _cubes(ct)
        made = itk.image_from_array(values)
        made.SetSpacing(grid.spacing_kji_mm[::-1])
        made.SetOrigin(grid.origin_lps_mm)
        return made

    images = [image(scan) for scan in (fixed, moving)]
    parameters = itk.ParameterObject.New()
    for kind in ("rigid", "bspline"):
        parameters.AddParameterMap(parameters.GetDefaultParameterMap(kind))
    return lambda: itk.elastix_registration_method(*images, parameter_object=parameters, log_to_console=False)


def ants(fixed: CtVolume, moving: CtVolume) -> Pass:
    """ANTs with the defaults of ``ants.registration``: affine, then SyN with mutual information, at 2 mm."""
    try:
        import ants as package
    except ImportError as error:
        raise Missing("ANTs (antspyx) is not installed") from error

    def image(ct: CtVolume) -> Any:
        values, grid = _cubes(ct)
        return package.from_numpy(values.T, origin=grid.origin_lps_mm, spacing=grid.spacing_kji_mm[::-1])

    images = image(fixed), image(moving)
    return lambda: package.registration(*images, type_of_transform="SyN", random_seed=1)


def _cubes(ct: CtVolume) -> tuple[np.ndarray, Geometry]:
    shape = tuple(max(1, int(mm / REGISTRATION_MM)) for mm in ct.geometry.extent_kji_mm)
    grid = Geometry(shape, ct.geometry.origin_lps_mm, (REGISTRATION_MM,) * 3, ct.geometry.direction)  # type: ignore[arg-type]
    return resample(ct.hu.astype(np.float32), ct.geometry, grid, outside=-1024), grid


@contextmanager
def plain_radiomics(folder: Path | None) -> Iterator[None]:
    """Meanwhile ``radiomics`` is the plain pyradiomics of a folder (``pip install --target``)."""
    from LungNoduleCADLib.classification import radiomics

    if folder is None or not (folder / "radiomics").is_dir():
        raise Missing("plain pyradiomics was not given (--plain-radiomics FOLDER); both have one import name")
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "radiomics"}
    sys.path.insert(0, str(folder))
    radiomics._extractor.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == "radiomics"]:
            del sys.modules[name]
        sys.modules.update(kept)
        radiomics._extractor.cache_clear()
