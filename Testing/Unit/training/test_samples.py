from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from LungNoduleCADLib.training.augment import training_transform, transforms_by_epoch
from LungNoduleCADLib.training.loader import CubeDataset, batches
from LungNoduleCADLib.training.lung_background import LungBackground
from LungNoduleCADLib.training.nodule_pack import NodulePack
from LungNoduleCADLib.training.samples import Sample, SampleStore, beside_nodule_cubes, nodule_cubes

SIZE = 56


def cubes() -> list[tuple[np.ndarray, np.ndarray, Sample]]:
    rng = np.random.default_rng(0)
    return [
        (
            rng.uniform(-1500, 4000, (SIZE,) * 3).astype(np.float32),
            rng.uniform(-0.1, 1.1, (SIZE,) * 3).astype(np.float32),
            Sample("A_n00" if n == 0 else "", "A", 0, 0, real_context=bool(n)),
        )
        for n in range(2)
    ]


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    return SampleStore.write(tmp_path / "store", SIZE, iter(cubes()))


def test_what_is_stored_is_read_back_clipped_to_ct_values(store: SampleStore) -> None:
    for number, (hu, occupancy, sample) in enumerate(cubes()):
        assert store.samples[number] == sample
        assert np.abs(store.hu[number] - np.clip(hu, -1024, 3071)).max() <= 0.5
        assert np.abs(store.occupancy[number] / 255 - np.clip(occupancy, 0, 1)).max() <= 0.5 / 255 + 1e-6
    assert len(store) == 2


def test_a_store_leaves_no_raw_files_behind(store: SampleStore, tmp_path: Path) -> None:
    assert {file.name for file in (tmp_path / "store").iterdir()} == {"hu.npy", "occupancy.npy", "samples.json"}
    assert len(store) == 2


def test_a_store_may_be_empty(tmp_path: Path) -> None:
    store = SampleStore.write(tmp_path / "store", SIZE, iter([]))

    assert len(store) == 0
    assert store.hu.shape == (0, SIZE, SIZE, SIZE)


def middle(cube: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    inner = cube["cube"][:, 20:36, 20:36, 20:36]
    return {"hu": inner[:1], "occupancy": inner[1:]}


def test_a_batch_has_changed_cubes_and_their_labels(store: SampleStore, pack: NodulePack) -> None:
    nodules = {nodule.nodule_id: nodule for nodule in pack.nodules}
    data = CubeDataset([store], [(0, 1), (0, 0)], nodules, middle, 1, outlines=True)

    batch = next(iter(batches(data, 2, 0)))

    assert batch["hu"].shape == batch["occupancy"].shape == (2, 1, 16, 16, 16)
    assert torch.equal(batch["hu"][0, 0], torch.from_numpy(store.hu[1, 20:36, 20:36, 20:36].astype(np.float32)))
    assert batch["labels"]["nodule"].tolist() == [[0.0], [1.0]]
    assert batch["labels"]["malignancy_weight"].tolist() == pytest.approx([0.0, 0.85])


def test_the_same_seed_draws_the_same_changes_and_another_seed_others(store: SampleStore) -> None:
    def first(seed: int) -> torch.Tensor:
        transform = training_transform(16, most_shift_voxels=3.0, zoom=0.1)
        return CubeDataset([store], [(0, 0)], {}, transform, seed, outlines=False)[0]["hu"]

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


@pytest.mark.parametrize("elastic", [False, True])
def test_outline_and_density_are_moved_together(tmp_path: Path, elastic: bool) -> None:
    ball = (np.linalg.norm(np.indices((SIZE,) * 3) - SIZE // 2, axis=0) < 8).astype(np.float32)
    one = Sample("A_n00", "A", 0, 0, real_context=True)
    store = SampleStore.write(tmp_path / "store", SIZE, iter([(ball * 1000 - 900, ball, one)]))
    transform = training_transform(32, most_shift_voxels=5.0, zoom=0.1, elastic=elastic)
    data = CubeDataset([store], [(0, 0)] * 6, {}, transform, 3, outlines=True)

    for changed in (data[n] for n in range(6)):
        inside, bright = changed["occupancy"] > 0.5, changed["hu"] > -400
        assert 2 * (inside & bright).sum() / (inside.sum() + bright.sum()) > 0.93
        assert inside.sum() == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.4)


def test_elastic_deformation_bends_what_an_affine_map_keeps_straight() -> None:
    plane = torch.linspace(-1000, 500, SIZE).expand(1, SIZE, SIZE, SIZE).contiguous()

    def bend(elastic: bool) -> float:
        transform = training_transform(
            32, most_shift_voxels=0.0, zoom=0.0, affine=False, kernels=False, intensity=False, elastic=elastic
        )
        transform.set_random_state(seed=1)
        hu = transform({"cube": plane.clone()})["hu"][0]
        return float(hu.std(dim=(0, 1)).max())

    step_hu = 1500 / (SIZE - 1)
    assert bend(False) < 4
    assert 0.2 * step_hu < bend(True) < 3 * step_hu


def test_a_sample_is_hidden_from_networks_that_its_patient_or_its_background_judges() -> None:
    sample = Sample("A_n00", "A", 1, 3, real_context=False)

    assert [fold for fold in range(5) if sample.hidden_from(fold)] == [1, 3]


def test_nodules_are_set_into_lung_with_their_volume(pack: NodulePack) -> None:
    background = LungBackground([], SIZE, 0.8, 0, np.random.default_rng(0))
    nodule = pack.nodules[0]

    made = list(nodule_cubes(pack, [nodule] * 2, background, np.random.default_rng(0)))

    assert [sample.nodule_id for _, _, sample in made] == ["A_n00", "A_n00"]
    for _, occupancy, _ in made:
        assert occupancy.sum() * 0.8**3 == pytest.approx(nodule.volume_mm3, rel=0.03)


def test_places_beside_a_nodule_are_not_nodules(pack: NodulePack) -> None:
    background = LungBackground([], SIZE, 0.8, 0, np.random.default_rng(0))

    made = list(beside_nodule_cubes(pack, pack.nodules[:1], background, 2, np.random.default_rng(0)))

    assert len(made) == 2
    for hu, occupancy, sample in made:
        assert sample.nodule_id == ""
        assert occupancy.max() == 0.0
        assert hu[SIZE // 2, SIZE // 2, SIZE // 2] < -800


def test_moves_by_whole_voxels_keep_every_value_and_every_slice(tmp_path: Path) -> None:
    k, _, i = np.indices((SIZE,) * 3).astype(np.float32)
    one = Sample("A_n00", "A", 0, 0, real_context=True)
    store = SampleStore.write(tmp_path / "store", SIZE, iter([(40 * i, 4 * k / 255, one)]))
    transform = training_transform(
        32, most_shift_voxels=3.0, zoom=0.1, affine=False, whole_voxels=True, kernels=False, intensity=False
    )

    starts, turns = set(), set()
    for seed in range(16):
        moved = CubeDataset([store], [(0, 0)], {}, transform, seed, outlines=True)[0]
        slices, columns = moved["occupancy"][0] * 255 / 4, moved["hu"][0] / 40
        steps = torch.diff(slices[:, 0, 0]).round()
        assert (slices == slices[:, :1, :1]).all()
        assert (steps == steps[0]).all()
        assert abs(steps[0]) == 1
        assert (columns - columns.round()).abs().max() <= 5 / 40
        starts.add(int(slices.min().round()))
        turns.add((bool(columns[0, 0, 0].round() != columns[0, 0, -1].round()), int(steps[0])))
    assert starts <= set(range(9, 16))
    assert len(starts) > 3
    assert len(turns) == 4


def test_the_augmentation_changes_with_the_epoch_where_the_recipe_says_so() -> None:
    recipe = {"augmentation": {"most_shift_voxels": 3.0, "zoom": 0.1}, "loop": {"epochs": 9}}
    always = transforms_by_epoch(16, recipe)
    assert always(0) is always(8)
    later = transforms_by_epoch(16, recipe | {"late_augmentation": {"from_epoch": 6, "affine": False}})
    assert later(5) is later(0)
    assert later(6) is later(8)
    names = [[type(one).__name__ for one in later(epoch).transforms] for epoch in (5, 6)]
    assert ["RandAffined" in kinds for kinds in names] == [True, False]


def test_whole_voxels_and_an_interpolation_are_refused_together() -> None:
    with pytest.raises(ValueError, match="instead of an affine"):
        training_transform(32, most_shift_voxels=3.0, zoom=0.1, whole_voxels=True)
