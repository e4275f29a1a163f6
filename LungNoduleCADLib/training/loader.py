"""Sample stores to batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose
from torch.utils.data import DataLoader, Dataset

from LungNoduleCADLib.training.data import PackNodule
from LungNoduleCADLib.training.labels import labels_of
from LungNoduleCADLib.training.samples import SampleStore


class CubeDataset(Dataset):
    """Cubes of one or more stores by (store, row), transformed, with the encoder's labels.

    ``outlines``: with occupancy, too.
    """

    def __init__(
        self,
        stores: Sequence[SampleStore],
        rows: Sequence[tuple[int, int]],
        nodules: dict[str, PackNodule],
        transform: Compose,
        seed: int,
        *,
        outlines: bool,
    ) -> None:
        self._stores, self._rows, self._nodules, self._transform, self._seed = stores, rows, nodules, transform, seed
        self._outlines = outlines

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        store, row = self._rows[index]
        cube = self._stores[store].hu[row].astype(np.float32)[None]
        if self._outlines:
            cube = np.concatenate([cube, self._stores[store].occupancy[row].astype(np.float32)[None] / 255.0])
        if isinstance(self._transform, Compose):
            self._transform.set_random_state(seed=(self._seed * 1_000_003 + index) % 2**32)
        torch.manual_seed(self._seed * 1_000_003 + index)
        changed = self._transform({"cube": torch.from_numpy(cube)})
        sample = self._stores[store].samples[row]
        return {
            **{key: value.as_subclass(torch.Tensor) for key, value in changed.items()},
            "labels": labels_of(self._nodules.get(sample.nodule_id), sample.synthetic_type),
        }


def batches(dataset: CubeDataset, batch: int, workers: int) -> DataLoader:
    """Batches in the data set's order; a fixed seed an epoch makes a resumed run see what the first would have."""
    return DataLoader(
        dataset,
        batch_size=batch,
        shuffle=False,
        num_workers=workers,
        drop_last=len(dataset) >= batch,
        worker_init_fn=_single_thread if workers else None,
    )


def _single_thread(_: int) -> None:
    torch.set_num_threads(1)
