"""Which cubes an epoch takes: so many of each kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from LungNoduleCADLib.training.samples import SYNTHETIC_FOLD, Sample, SampleStore

Kind = tuple[bool, bool, bool]
"""Of a cube: synthetic, with a nodule at its middle, as it lies in a scan."""
KINDS: dict[str, Kind] = {
    "nodules": (False, True, False),
    "nodules_of_scans": (False, True, True),
    "beside_nodules": (False, False, False),
    "background_of_scans": (False, False, True),
    "synthetic_nodules": (True, True, True),
    "synthetic_background": (True, False, True),
}
"""As recipes name them."""
Groups = dict[Kind, tuple[list[int], np.ndarray]]


def groups_by_kind(store: SampleStore, held_out: int, chance: Callable[[Sample], float]) -> Groups:
    """{kind: (rows that may be seen, their chances)}, of kinds that there are."""
    groups: dict[Kind, tuple[list[int], list[float]]] = {}
    for row, sample in enumerate(store.samples):
        if sample.hidden_from(held_out):
            continue
        kind = (sample.fold == SYNTHETIC_FOLD, bool(sample.nodule_id), sample.real_context)
        rows, chances = groups.setdefault(kind, ([], []))
        rows.append(row)
        chances.append(chance(sample))
    return {kind: (rows, np.array(chances) / np.sum(chances)) for kind, (rows, chances) in groups.items()}


def balanced_rows(groups: Groups, shares: dict[Kind, float], count: int, rng: np.random.Generator) -> list[int]:
    """Rows of an epoch of about ``count`` cubes, in random order."""
    picked = np.concatenate(
        [
            rng.choice(groups[kind][0], round(count * share), p=groups[kind][1])
            for kind, share in shares.items()
            if kind in groups
        ]
    )
    return [int(row) for row in rng.permutation(picked)]
