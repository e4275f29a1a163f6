from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from LungNoduleCADLib.backends.image_axes import ImageAxes

SHAPE = (2, 3, 4)
ALL = ["".join(codes) for order in permutations(("SI", "PA", "LR")) for codes in product(*order)]


def test_ras_runs_to_the_right_to_the_front_and_to_the_head() -> None:
    array = np.zeros(SHAPE)
    array[1, 2, 3] = 1  # at the head, the back and the left

    image = ImageAxes("RAS").image(array)

    assert image.shape == (4, 3, 2)
    assert np.argwhere(image).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("codes", ALL)
def test_there_and_back_changes_nothing(codes: str) -> None:
    axes, array = ImageAxes(codes), np.arange(24).reshape(SHAPE)

    image = axes.image(array)

    assert np.array_equal(axes.array(image), array)
    assert axes.sizes_kji(image.shape) == SHAPE
    for index in np.ndindex(image.shape):
        (kji,) = axes.indices_kji(np.array([index]), SHAPE).astype(int)
        assert image[index] == array[tuple(kji)]


@pytest.mark.parametrize("codes", ["", "RA", "RASL", "RAL", "RAX", "RRS"])
def test_what_is_no_set_of_three_axes_is_refused(codes: str) -> None:
    with pytest.raises(ValueError, match="three axes as RAS"):
        ImageAxes(codes)
