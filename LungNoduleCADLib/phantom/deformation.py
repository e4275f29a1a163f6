"""The smooth difference in posture and breath between two scans of the phantom."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def to_baseline(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """Where points of the follow-up (LPS mm, broadcastable) lay at baseline.

    The patient lies a little differently and breathed in deeper: the bases moved down, the chest widened.
    """
    base = 0.5 - 0.5 * np.tanh((z + 20.0) / 50.0)
    return (
        x - 3.0 - 2.0 * np.tanh(x / 60.0) - 0.8 * np.sin(z / 35.0),
        y + 4.0 + 2.0 * base - 0.8 * np.sin(x / 40.0),
        z - 2.5 + 6.0 * base - 0.8 * np.sin(y / 38.0),
    )


def to_follow_up(points: Array) -> Array:
    """Where points (..., 3) of the baseline lie in the follow-up: the inverse, to less than 0.001 mm."""
    found = np.asarray(points, float)
    for _ in range(8):
        found = found + (points - np.stack(to_baseline(*np.moveaxis(found, -1, 0)), axis=-1))
    return found
