from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from LungNoduleCADLib import RESEARCH_USE_ONLY, __version__
from LungNoduleCADLib.cli import info, main


def test_info_as_json_names_versions_devices_and_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    assert said["version"] == __version__
    assert said["devices"][0]["id"] == "cpu"
    assert {"torch", "SimpleITK", "pydicom"} <= set(said["packages"])
    models = {model["name"]: model["status"] for model in said["models"]}
    assert {"nodule_ct_attributes", "nodule_ct_segmentation", "nodule_fusion"} <= set(models)
    assert set(models.values()) <= {"trained", "untrained"}
    assert said["research_use_only"] == RESEARCH_USE_ONLY


def test_info_asks_torch_which_device_auto_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _number: "NVIDIA A")

    assert main(["info", "--json", "--torch"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1  # the panel reads lines
    said = json.loads(lines[0])
    assert said["auto"] == "cuda:0"
    assert [device["id"] for device in said["devices"]] == ["cpu", "cuda:0"]
    assert said["devices"][1]["name"] == "NVIDIA A"


def test_info_for_people_ends_with_what_it_is_not_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0

    assert capsys.readouterr().out.strip().endswith(RESEARCH_USE_ONLY)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for nvidia-smi is a shell script")
@pytest.mark.parametrize(("exit_code", "ids"), [(0, ["cpu", "cuda:0", "cuda:1"]), (9, ["cpu"])])
def test_a_graphics_card_without_its_driver_is_not_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_code: int, ids: list[str]
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho NVIDIA A\necho NVIDIA B\nexit {exit_code}\n", encoding="utf-8")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert [device["id"] for device in info.devices()] == ids


def test_bundles_are_listed_with_their_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundles", "list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("nodule_ct_segmentation 0") for line in lines)


def test_without_bundles_the_models_folder_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LUNGNODULECAD_MODELS", str(tmp_path))

    assert main(["bundles", "list"]) == 4
    assert str(tmp_path) in capsys.readouterr().err
