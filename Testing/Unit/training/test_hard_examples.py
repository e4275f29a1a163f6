from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.training.hard_examples import MODEL, READERS, HardExample, write_hard_examples

SPACING_MM = (2.0, 0.8, 0.8)


def example(name: str = "P1_n00", error: float = 0.5, readers: bool = True, model: bool = True) -> HardExample:
    """A bright ball in lung; the model's outline is smaller."""
    offset = (np.moveaxis(np.indices((20, 50, 50)), 0, -1) - (10, 25, 25)) * SPACING_MM
    distance_mm = np.linalg.norm(offset, axis=-1)
    return HardExample(
        name,
        error,
        "Dice 0.50",
        "solid, 12.0 mm | 4 readers",
        np.where(distance_mm < 6, 40, -850).astype(np.int16),
        SPACING_MM,
        distance_mm < 6 if readers else None,
        distance_mm < 4 if model else None,
    )


def share_of_color(picture: Path, color: str) -> float:
    """Share of pixels near to a color."""
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"), int)
    wanted = [int(color[n : n + 2], 16) for n in (1, 3, 5)]
    return float((np.abs(pixels - wanted).max(axis=-1) < 40).mean())


def test_the_worst_come_first_and_no_more_than_asked_for(tmp_path: Path) -> None:
    some = [example(f"P{n}_n00", error=n / 10) for n in (3, 9, 1, 7)]

    index = write_hard_examples(tmp_path, "fold 3", {"outlines": some}, at_most=3)

    assert index == json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    group = index["groups"]["outlines"]
    assert [(row["name"], row["error"]) for row in group["examples"]] == [
        ("P9_n00", 0.9),
        ("P7_n00", 0.7),
        ("P3_n00", 0.3),
    ]
    assert group["title"] == "Worst outlines: 3 of 4"
    assert list(index["groups"]) == ["outlines"]


def test_the_index_can_be_read_and_shows_the_sheet(tmp_path: Path) -> None:
    write_hard_examples(tmp_path, "fold 3", {"outlines": [example()], "missed": []})

    text = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert "# Hard examples: fold 3" in text
    assert "![Worst outlines: 1 of 1](outlines.png)" in text
    assert "| 1 | P1_n00 | 0.500 | Dice 0.50 | solid, 12.0 mm / 4 readers |" in text
    assert "## Missed nodules: 0 of 0\n\nNone." in text
    assert not (tmp_path / "missed.png").exists()


@pytest.mark.parametrize(("readers", "model"), [(True, True), (True, False), (False, True)])
def test_the_sheet_shows_who_outlined_what(tmp_path: Path, readers: bool, model: bool) -> None:
    nothing = tmp_path / "without"
    write_hard_examples(nothing, "?", {"false_positives": [example(readers=False, model=False)]})

    write_hard_examples(tmp_path, "?", {"outlines": [example(readers=readers, model=model)]})

    for style, there in ((READERS, readers), (MODEL, model)):
        drawn = share_of_color(tmp_path / "outlines.png", style["colors"])
        # without outlines the blue of the model marks the middle
        key_only = share_of_color(nothing / "false_positives.png", READERS["colors"])
        assert (drawn > 3 * key_only + 1e-4) is there


def test_a_block_of_few_slices_is_shown_whole(tmp_path: Path) -> None:
    """The pack's blocks end with the outline along z: the view is as wide as in plane, black beyond."""
    whole = example()
    few = HardExample(
        "flat", 0.5, "", "", whole.hu[8:12], SPACING_MM, whole.readers[8:12], np.zeros_like(whole.readers[8:12])
    )

    write_hard_examples(tmp_path, "?", {"outlines": [few], "types": [whole]})

    black = {group: share_of_color(tmp_path / f"{group}.png", "#000000") for group in ("outlines", "types")}
    assert black["outlines"] > black["types"] + 0.03
    assert share_of_color(tmp_path / "outlines.png", READERS["colors"]) > 5e-4


def test_an_empty_outline_and_no_difference_are_drawn_too(tmp_path: Path) -> None:
    whole = example()
    nothing = np.zeros_like(whole.readers)
    same = HardExample("same", 0.0, "", "", whole.hu, SPACING_MM, whole.readers, whole.readers)
    missed = HardExample("missed", 1.0, "", "", whole.hu, SPACING_MM, whole.readers, nothing)
    empty = HardExample("empty", 1.0, "", "", whole.hu, SPACING_MM, nothing, nothing)

    index = write_hard_examples(tmp_path, "?", {"outlines": [same, missed, empty]})

    assert [row["name"] for row in index["groups"]["outlines"]["examples"]] == ["empty", "missed", "same"]
    assert share_of_color(tmp_path / "outlines.png", READERS["colors"]) > 1e-3


def test_sheets_of_an_earlier_evaluation_do_not_stay(tmp_path: Path) -> None:
    write_hard_examples(tmp_path, "before", {"outlines": [example()], "types": [example()]})
    write_hard_examples(tmp_path, "now", {"outlines": [example()], "types": []})

    assert (tmp_path / "outlines.png").exists()
    assert not (tmp_path / "types.png").exists()


def test_the_same_examples_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("once", "again"):
        write_hard_examples(tmp_path / name, "fold 3", {"outlines": [example("B"), example("A")]})

    assert (tmp_path / "once/outlines.png").read_bytes() == (tmp_path / "again/outlines.png").read_bytes()
    assert json.loads((tmp_path / "once/index.json").read_text())["groups"]["outlines"]["examples"][0]["name"] == "A"


def test_an_outline_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"other voxels.*\(4, 4, 4\).*\(3, 4, 4\)"):
        HardExample("P1", 0.1, "", "", np.zeros((4, 4, 4)), SPACING_MM, np.zeros((3, 4, 4), bool))


def test_an_unknown_group_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="worst_dice"):
        write_hard_examples(tmp_path, "?", {"worst_dice": []})
