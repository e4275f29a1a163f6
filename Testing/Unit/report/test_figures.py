from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from PIL import Image

from LungNoduleCADLib.domain.comparison import TimePoint
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.report.figures import (
    _apart,
    save_growth,
    save_key_images,
    save_overview,
    save_pair,
    view_width_mm,
)
from LungNoduleCADLib.report.planes import Orientation, Plane

TURN = np.deg2rad(20)
OBLIQUE = (np.cos(TURN), -np.sin(TURN), 0.0, np.sin(TURN), np.cos(TURN), 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("orientation", Orientation)
@pytest.mark.parametrize("direction", [(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0), OBLIQUE])
def test_a_plane_shows_the_point_it_is_cut_at_where_it_says(orientation, direction):
    geometry = Geometry((40, 60, 60), (-20.0, -15.0, -30.0), (1.5, 1.0, 1.0), direction)
    l, p, s = (geometry.to_lps_mm(np.stack(np.indices(geometry.shape_kji), axis=-1))[..., n] for n in range(3))  # noqa: E741
    centre = tuple(float(v) for v in geometry.to_lps_mm((20, 30, 30)))
    plane = Plane(orientation, centre, 20.0, 41)
    for axis, values in enumerate((l, p, s)):
        cut = plane.cut_box(values + 500.0, geometry) - 500.0
        assert cut[20, 20] == pytest.approx(centre[axis], abs=1e-3)
        right, down = orientation.right[axis], orientation.down[axis]
        assert cut[20, 30] - cut[20, 20] == pytest.approx(5.0 * right, abs=1e-3)
        assert cut[30, 20] - cut[20, 20] == pytest.approx(5.0 * down, abs=1e-3)


def test_the_letters_name_the_left_and_the_top_of_the_picture():
    names = {"R": (-1, 0, 0), "A": (0, -1, 0), "S": (0, 0, 1)}
    for orientation in Orientation:
        left, top = orientation.letters
        np.testing.assert_allclose(-orientation.right, names[left])
        np.testing.assert_allclose(-orientation.down, names[top])


def test_the_cut_of_a_mask_has_the_masks_area():
    geometry = Geometry((20, 40, 40), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    mask = NoduleMask(np.ones((5, 10, 8), bool), (8, 15, 16), geometry, Method("m", "1"))
    plane = Plane(Orientation.AXIAL, mask.centroid_lps_mm(), 30.0, 301)
    assert (plane.cut_mask(mask) >= 0.5).sum() * plane.spacing_mm**2 == pytest.approx(80.0, rel=0.03)


def test_outside_of_the_ct_is_air(make_findings, make_ct):
    ct = make_ct(make_findings(0))
    plane = Plane(Orientation.AXIAL, (-126.0, -100.0, -240.0), 60.0, 61)
    assert np.all(plane.cut_ct(ct.hu, ct.geometry)[:20, :20] == -1024)


def _colors(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def _yellow(pixels):
    return ((pixels[..., 0] > 180) & (pixels[..., 1] > 150) & (pixels[..., 2] < 90)).sum()


def test_key_images_carry_an_outline_only_where_there_is_a_mask(make_findings, make_ct, tmp_path):
    findings = make_findings(1, masked=True)
    ct, nodule = make_ct(findings), findings.nodules[0]
    save_key_images(nodule, ct, tmp_path / "with.png")
    save_key_images(replace(nodule, mask=None, saliency=None), ct, tmp_path / "without.png")
    with_mask, without = (_colors(tmp_path / name) for name in ("with.png", "without.png"))
    assert with_mask.shape == without.shape
    assert with_mask.shape[1] > 4 * 300
    assert _yellow(with_mask) > 500
    assert _yellow(without) == 0


def test_heat_shows_only_in_the_fourth_picture_and_where_it_is_hot(make_findings, make_ct, tmp_path):
    findings = make_findings(1, masked=True)
    ct, nodule = make_ct(findings), findings.nodules[0]
    save_key_images(nodule, ct, tmp_path / "hot.png")
    cold = replace(nodule, saliency=replace(nodule.saliency, heat=np.zeros_like(nodule.saliency.heat)))
    save_key_images(cold, ct, tmp_path / "cold.png")
    difference = np.abs(_colors(tmp_path / "hot.png") - _colors(tmp_path / "cold.png")).sum(axis=-1)
    width = difference.shape[1]
    assert difference[:, : width * 3 // 4 - 10].max() == 0
    fourth = difference[:, width * 3 // 4 :]
    middle = fourth[
        fourth.shape[0] // 2 - 20 : fourth.shape[0] // 2 + 60, fourth.shape[1] // 2 - 40 : fourth.shape[1] // 2 + 40
    ]
    assert middle.mean() > 5 * fourth[:, 20:60].mean()


def test_a_low_malignancy_score_hides_the_heat_and_says_so(make_findings, make_ct, tmp_path):
    findings = make_findings(1, masked=True)
    ct, nodule = make_ct(findings), findings.nodules[0]
    low = replace(nodule, malignancy=replace(nodule.malignancy, encoder_probability=0.49))
    save_key_images(low, ct, tmp_path / "low.png")
    save_key_images(replace(low, saliency=None), ct, tmp_path / "none.png")
    save_key_images(replace(nodule, saliency=None), ct, tmp_path / "missing.png")
    low_png, none_png, missing_png = (_colors(tmp_path / name) for name in ("low.png", "none.png", "missing.png"))
    assert np.array_equal(low_png, none_png)
    assert not np.array_equal(low_png, missing_png), "another reason is given"


def test_a_nodule_wider_than_the_view_widens_it(make_findings):
    nodule = make_findings(1).nodules[0]
    axes = replace(nodule.measurements.axes, long_axis_mm=70.0)
    assert view_width_mm([nodule]) == 60.0
    assert view_width_mm([nodule, replace(nodule, measurements=replace(nodule.measurements, axes=axes))]) == 100.0


def test_pair_overview_and_growth_plot_are_pictures(make_findings, make_ct, lungs, tmp_path):
    findings = make_findings(3, masked=True, prior=True)
    ct, prior_ct = make_ct(findings), make_ct(findings.prior)
    save_pair(findings.prior.nodules[0], prior_ct, findings.nodules[0], ct, tmp_path / "pair.png")
    save_overview(findings.nodules, ct, lungs, tmp_path / "overview.png")
    then = TimePoint(date(2023, 9, 3), 181, "N1", 100.0, (80.0, 125.0))
    save_growth([then, TimePoint(date(2024, 3, 2), 0, "N1", 148.0, (121.0, 180.0))], tmp_path / "growth.png")
    save_growth([TimePoint(None, None, "N1", 9.0), TimePoint(None, None, "N1", 9.0)], tmp_path / "undated.png")
    for path in tmp_path.iterdir():
        assert _colors(path).std() > 5
    assert _yellow(_colors(tmp_path / "overview.png")) > 50


def test_a_nodule_at_the_edge_of_the_lungs_keeps_its_name_in_the_overview(make_findings, make_ct, lungs, tmp_path):
    findings = make_findings(1, masked=True)
    left = np.argwhere(lungs.labels == 2)[:, 2].max()
    k, j, _ = np.argwhere(lungs.labels == 2).mean(axis=0)
    edge = tuple(float(v) for v in lungs.geometry.to_lps_mm((k, j, left)))
    save_overview(
        [replace(findings.nodules[0], id="N10", centroid_lps_mm=edge)], make_ct(findings), lungs, tmp_path / "o.png"
    )
    colors = _colors(tmp_path / "o.png")
    assert _yellow(colors) > 50
    assert _yellow(colors[:, -4:]) == 0, "the name runs out of the picture"


def test_values_and_dates_of_exams_close_together_are_not_written_over_one_another():
    assert _apart([-400.0, -10.0, 0.0], 50.0) == [2, 0]
    assert _apart([0.0], 1.0) == [0]


def test_the_growth_plot_shows_every_exam_with_its_error_bar(tmp_path):
    points = [
        TimePoint(date(2020, 1, 1), 1096, "N1", 100.0, (80.0, 125.0)),
        TimePoint(date(2022, 1, 1), 365),
        TimePoint(date(2022, 7, 1), 184, "N2", 130.0, (100.0, 170.0)),
        TimePoint(date(2023, 1, 1), 0, "N1", 160.0, (130.0, 200.0)),
    ]
    save_growth(points, tmp_path / "four.png")
    save_growth([points[0], points[3]], tmp_path / "two.png")
    save_growth([replace(p, volume_interval_95_mm3=None) for p in points], tmp_path / "bare.png")
    blue = {path.stem: (_colors(path) @ [1, 0, -1] < -20).sum() for path in tmp_path.iterdir()}
    assert blue["four"] > blue["two"] > 0
    assert blue["four"] > blue["bare"] + 100
