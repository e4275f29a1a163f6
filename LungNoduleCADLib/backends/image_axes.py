"""From (K, J, I) arrays on a grid to the axis order that a network was trained in, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# letter: axis of a (K, J, I) array, and whether it runs against it (k to the head, j to the back, i to the left)
LETTERS = {"S": (0, False), "I": (0, True), "P": (1, False), "A": (1, True), "L": (2, False), "R": (2, True)}


@dataclass(frozen=True)
class ImageAxes:
    """Axes by the letters of where they run to, as ``RAS``: to the right, to the front, to the head.

    Raises
    ------
    ValueError : not three letters, one of each pair S/I, P/A, L/R.
    """

    codes: str

    def __post_init__(self) -> None:
        if not set(self.codes) <= set(LETTERS) or sorted(self._order) != [0, 1, 2]:
            raise ValueError(f"expected three axes as RAS, got {self.codes!r}")

    @property
    def _order(self) -> tuple[int, ...]:
        return tuple(LETTERS[code][0] for code in self.codes)

    @property
    def _reversed(self) -> tuple[int, ...]:
        """Image axes that run against the grid's."""
        return tuple(n for n, code in enumerate(self.codes) if LETTERS[code][1])

    def image(self, array_kji: np.ndarray) -> np.ndarray:
        """The array in the image's order."""
        return np.ascontiguousarray(np.flip(array_kji.transpose(self._order), self._reversed))

    def array(self, image: np.ndarray) -> np.ndarray:
        """An image back in the grid's order."""
        return np.ascontiguousarray(np.flip(image, self._reversed).transpose(np.argsort(self._order)))

    def sizes_kji(self, sizes: tuple[float, ...]) -> tuple[float, ...]:
        """Lengths along the image's axes in the grid's order."""
        return tuple(sizes[n] for n in np.argsort(self._order))

    def indices_kji(self, indices: np.ndarray, shape_kji: tuple[int, ...]) -> np.ndarray:
        """Continuous indices (N, 3) into the image as indices into the grid."""
        turned = np.array(indices, float)
        for axis in self._reversed:
            turned[:, axis] = shape_kji[self._order[axis]] - 1 - turned[:, axis]
        return turned[:, np.argsort(self._order)]
