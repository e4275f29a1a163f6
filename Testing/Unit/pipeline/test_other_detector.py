"""A detector from elsewhere in the place of the bundled one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib import pipeline
from LungNoduleCADLib.bundles.registry import MODELS_FOLDER_VARIABLE, find_bundle
from LungNoduleCADLib.cli import main
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask
from LungNoduleCADLib.domain.nodule import Nodule, NoduleCandidate, Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.nodule_list import Models
from LungNoduleCADLib.progress import Progress

GEOMETRY = Geometry((40, 60, 60), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
STUB, ELSEWHERE = Method("stub", "1"), Method("elsewhere", "2.0", "ab" * 32)


class ThreeCandidates:
    """One likely by its own account, one unlikely, and one that it gives no probability."""

    method, threshold = ELSEWHERE, 0.5

    def __call__(self, _ct: CtVolume, _lungs: LungMask) -> list[NoduleCandidate]:
        return [
            NoduleCandidate((15.0, 15.0, 20.0), 8.0, 0.7),
            NoduleCandidate((45.0, 15.0, 20.0), 8.0, 0.3),
            NoduleCandidate((15.0, 45.0, 20.0), 8.0),
        ]


class Cubes:
    method = STUB

    def segment(self, _ct: CtVolume, point: Point) -> NoduleMask:
        start = tuple(int(v) - 4 for v in GEOMETRY.to_kji(point))
        return NoduleMask(np.ones((9, 9, 9), bool), start, GEOMETRY, STUB)  # type: ignore[arg-type]


class EverythingIsSixInTen:
    class encoder:  # noqa: N801
        size, spacing_mm = 3, 1.0

    def nodule_probability(self, patches: list[np.ndarray]) -> np.ndarray:
        return np.full(len(patches), 0.6)

    def characterise(self, _ct: CtVolume, nodule: Nodule) -> Nodule:
        return nodule

    def methods(self) -> tuple[Method, ...]:
        return ()


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> StudyFindings:
    lungs = LungMask(np.ones(GEOMETRY.shape_kji, np.uint8), GEOMETRY, STUB)
    monkeypatch.setattr(pipeline, "segment_lungs", lambda _: lungs)
    for check in ("lung_quality", "mass_flags"):
        monkeypatch.setattr(pipeline, check, lambda *_: ())
    ct = CtVolume(np.full(GEOMETRY.shape_kji, -850, np.int16), GEOMETRY, SeriesDescription("1"))
    models = Models(Cubes(), EverythingIsSixInTen(), 0.5, ThreeCandidates())  # type: ignore[arg-type]
    return pipeline.analyse_study(ct, models, Progress(pipeline.ANALYSIS_STAGES)).findings


def test_its_probabilities_are_kept_and_the_encoder_rates_what_has_none(findings: StudyFindings) -> None:
    kept = {place.centre_lps_mm: place.probability for place in findings.candidates}

    assert kept == {(15.0, 15.0, 20.0): 0.7, (45.0, 15.0, 20.0): 0.3, (15.0, 45.0, 20.0): 0.6}
    assert sorted(nodule.candidate.probability or 0.0 for nodule in findings.nodules) == [0.6, 0.7]


def test_results_name_it_and_say_that_no_operating_point_of_it_was_measured(findings: StudyFindings) -> None:
    assert ELSEWHERE in findings.provenance.methods
    assert [flag.code for flag in findings.flags if "elsewhere 2.0" in flag.message] == ["other_detector"]
    assert findings.operating_points == ()


class OnePlace:
    """As the bundled detector: places without a probability."""

    method, threshold = Method("nodule_ct_detection", "0.1.0"), None

    def __call__(self, _ct: CtVolume, _lungs: LungMask) -> list[NoduleCandidate]:
        return [NoduleCandidate((15.0, 15.0, 20.0), 8.0)]


def test_the_bundled_network_proposes_and_is_named_unless_another_detector_was_chosen() -> None:
    own, chosen = (
        Models(Cubes(), EverythingIsSixInTen(), 0.5, detector, OnePlace())  # type: ignore[arg-type]
        for detector in (None, ThreeCandidates())
    )
    nothing = (None, None)

    assert [place.centre_lps_mm for place in own.find(*nothing)] == [(15.0, 15.0, 20.0)]  # type: ignore[arg-type]
    assert own.methods() == (OnePlace.method, STUB)
    assert own.flags() == ()
    assert len(chosen.find(*nothing)) == 3  # type: ignore[arg-type]
    assert ELSEWHERE in chosen.methods()


@pytest.mark.parametrize("option", ["--detector", "--segmenter"])
def test_an_unknown_back_end_is_refused_on_the_command_line(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUNGNODULECAD_BACKENDS", str(tmp_path))
    monkeypatch.setattr("LungNoduleCADLib.cli.work._read", lambda *_: object())
    (tmp_path / "scan.nrrd").touch()

    command = ["analyse", str(tmp_path / "scan.nrrd"), "-o", str(tmp_path / "out"), option, "cat", "--progress", "none"]

    assert main(command) == 2
    assert "There is no such back-end" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_bundled_network_may_be_named_but_never_answers_from_random_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "models" / "nodule_ct_detection"
    shutil.copytree(find_bundle(bundle.name).path, bundle, ignore=shutil.ignore_patterns("*.safetensors"))
    metadata = json.loads((bundle / "configs/metadata.json").read_text(encoding="utf-8"))
    untrained = json.dumps(metadata | {"status": "untrained", "weights_sha256": {}})
    (bundle / "configs/metadata.json").write_text(untrained, encoding="utf-8")
    monkeypatch.setenv(MODELS_FOLDER_VARIABLE, str(bundle.parent))
    monkeypatch.setattr("LungNoduleCADLib.cli.work._read", lambda *_: object())
    (tmp_path / "scan.nrrd").touch()

    command = ["analyse", str(tmp_path / "scan.nrrd"), "-o", str(tmp_path / "out"), "--detector", bundle.name]

    assert main([*command, "--progress", "none"]) == 4
    assert "nodule_ct_detection has no trained weights" in capsys.readouterr().err
