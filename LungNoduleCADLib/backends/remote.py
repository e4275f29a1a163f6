"""What can be fetched on an explicit command, from where, under which licence. Imports no torch, reaches no network."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from LungNoduleCADLib.backends.totalsegmentator import NAME as TOTALSEGMENTATOR
from LungNoduleCADLib.errors import UsageError

BACKENDS_FOLDER_VARIABLE = "LUNGNODULECAD_BACKENDS"


@dataclass(frozen=True)
class RemoteFile:
    """One file: where it goes in the bundle's folder, its address, and its digest as ``algorithm:hex``."""

    path: str
    address: str
    digest: str


@dataclass(frozen=True)
class Remote:
    """Something made elsewhere. ``files`` are downloaded, ``configs`` written beside them; without files, a program."""

    name: str
    version: str
    task: str
    source: str
    licence: str
    data: str
    size: str
    files: tuple[RemoteFile, ...] = ()
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)


# The numbers of the zoo's inference.json (Project-MONAI/model-zoo, 0.6.8), without its expressions.
_RETINANET_INFERENCE = {
    "infer_patch_size": [512, 512, 192],
    "anchor_generator": {"feature_map_scales": [1, 2, 4], "base_anchor_shapes": [[6, 8, 4], [8, 6, 5], [10, 10, 6]]},
    "network_def": {"_target_": "RetinaNet", "spatial_dims": 3, "num_classes": 1, "num_anchors": 3},
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [0.703125, 0.703125, 1.25]},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "image",
                "a_min": -1024.0,
                "a_max": 300.0,
                "b_min": 0.0,
                "b_max": 1.0,
                "clip": True,
            },
        ],
    },
}

REMOTES = (
    Remote(
        name="lung_nodule_ct_detection",
        version="0.6.8",
        task="nodule detector (RetinaNet) of MONAI's model zoo; --detector lung_nodule_ct_detection",
        source="https://github.com/Project-MONAI/model-zoo/tree/dev/models/lung_nodule_ct_detection",
        licence="Apache-2.0",
        data="trained on LUNA16 (CC BY 4.0), that is on LIDC-IDRI: figures on LIDC-IDRI flatter it",
        size="about 84 MB",
        files=(
            RemoteFile(
                "models/model.pt",
                "https://developer.download.nvidia.com/assets/Clara/monai/tutorials/model_zoo/"
                "model_lung_nodule_ct_detection.pt",
                "md5:b2e732a7c2786e2f8398fa45293b1e73",
            ),
        ),
        configs={
            "configs/inference.json": _RETINANET_INFERENCE,
            "configs/metadata.json": {"version": "0.6.8", "task": "CT lung nodule detection", "license": "Apache-2.0"},
        },
    ),
    Remote(
        name=TOTALSEGMENTATOR,
        version="of the installed program",
        task=f"nodule mask of TotalSegmentator, a program of its own; --detector {TOTALSEGMENTATOR}",
        source="https://github.com/wasserth/TotalSegmentator (program: pip install TotalSegmentator; it downloads its "
        "weights from its releases there)",
        licence="Apache-2.0",
        data="trained on 1 353 scans, partly LIDC-IDRI; accuracy not published",
        size="told by the program while it downloads",
    ),
)


def find_remote(name: str) -> Remote:
    """By name; UsageError where there is none of that name."""
    for remote in REMOTES:
        if remote.name == name:
            return remote
    raise UsageError(
        "That cannot be fetched",
        expected=" or ".join(remote.name for remote in REMOTES),
        got=name,
        todo="see lungnodulecad bundles list --remote",
    )


def backends_folder() -> Path:
    """Where fetched back-ends lie: ``.lungnodulecad/backends`` in the home folder, or where the variable points."""
    return Path(os.environ.get(BACKENDS_FOLDER_VARIABLE) or Path.home() / ".lungnodulecad/backends")
