from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from LungNoduleCADLib.bundles.registry import MODELS_FOLDER_VARIABLE, find_bundle, list_bundles, models_folder
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import checked_file, load_network
from LungNoduleCADLib.errors import ModelError, UsageError
from LungNoduleCADLib.networks.build import build_network, choose_device
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training.verify import METADATA_KEYS, RECIPE_KEYS, verify_bundle


def test_a_trained_bundle_gives_back_the_network_that_was_saved(trained: Bundle, network: NoduleEncoder) -> None:
    x = torch.randn(2, 1, 16, 16, 16)
    with torch.inference_mode():
        wanted, got = network(x), load_network(trained, "cpu")(x)

    assert not load_network(trained, "cpu").training
    for head, answer in wanted.items():
        assert got[head] == pytest.approx(answer, abs=5e-3), head


def test_results_name_the_model_by_version_and_digest(trained: Bundle) -> None:
    digest = hashlib.sha256((trained.path / "models/model.safetensors").read_bytes()).hexdigest()

    assert (trained.method().name, trained.method().version, trained.method().sha256) == (
        "tiny_encoder",
        "0.1.0",
        digest,
    )


def test_a_changed_byte_in_the_weights_is_refused(trained: Bundle) -> None:
    file = trained.path / "models/model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)

    with pytest.raises(ModelError, match="damaged or were changed"):
        load_network(trained, "cpu")


def test_missing_weights_are_refused(trained: Bundle) -> None:
    (trained.path / "models/model.safetensors").unlink()

    with pytest.raises(ModelError, match="no such file"):
        load_network(trained, "cpu")


def test_a_file_that_the_metadata_does_not_name_is_refused(trained: Bundle) -> None:
    (trained.path / "models/other.bin").write_bytes(b"x")

    with pytest.raises(ModelError, match=r"models/other\.bin"):
        checked_file(trained, "models/other.bin")


def test_weights_of_an_impossible_name_are_missing(trained: Bundle) -> None:
    for name in ("models/" + "[" * 1000, "models/a\0b"):
        with pytest.raises(ModelError, match="got no such file"):
            checked_file(trained, name)


def test_an_untrained_bundle_says_so_instead_of_answering_from_random_weights(untrained: Bundle) -> None:
    assert not untrained.trained
    with pytest.raises(ModelError, match="tiny_encoder has no trained weights"):
        load_network(untrained, "cpu")


def test_weights_of_another_network_are_refused(trained: Bundle) -> None:
    file = trained.path / "configs/inference.json"
    inference = json.loads(file.read_text(encoding="utf-8"))
    inference["arguments"]["widths"] = [4, 8, 8, 16]
    file.write_text(json.dumps(inference), encoding="utf-8")

    with pytest.raises(ModelError, match="do not fit its network"):
        load_network(Bundle(trained.path), "cpu")


@pytest.mark.parametrize("content", [None, "{not json"])
def test_unreadable_metadata_is_a_model_error(trained: Bundle, content: str | None) -> None:
    file = trained.path / "configs/metadata.json"
    file.unlink() if content is None else file.write_text(content, encoding="utf-8")

    with pytest.raises(ModelError, match="tiny_encoder is incomplete"):
        _ = Bundle(trained.path).metadata


def test_the_registry_looks_where_the_variable_points(trained: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_FOLDER_VARIABLE, str(trained.path.parent))

    assert models_folder() == trained.path.parent
    assert [bundle.name for bundle in list_bundles()] == ["tiny_encoder"]
    assert find_bundle("tiny_encoder").path == trained.path
    with pytest.raises(ModelError, match="expected tiny_encoder, got lung_lobes"):
        find_bundle("lung_lobes")


def test_without_the_variable_the_models_lie_beside_the_library(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MODELS_FOLDER_VARIABLE, raising=False)

    assert models_folder() == repository / "models"


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ModelError, match=r"got os\.system"):
        build_network("os.system", {})


@pytest.mark.parametrize("device", ["cuda:99", "tpu", ""])
def test_a_device_that_is_not_here_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match="use --device auto"):
        choose_device(device)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_a_bundle_without_figures_is_not_whole(trained: Bundle) -> None:
    assert verify_bundle(trained) == ["there is no evaluation.json"]


def test_a_bundle_whose_metadata_lacks_everything_is_described_not_crashed_on(trained: Bundle) -> None:
    (trained.path / "configs/metadata.json").write_text("{}", encoding="utf-8")

    problems = verify_bundle(Bundle(trained.path))

    assert "metadata.json lacks status" in problems


def test_a_damaged_evaluation_is_described_not_crashed_on(trained: Bundle) -> None:
    (trained.path / "docs/evaluation.json").write_text("{", encoding="utf-8")

    assert len(verify_bundle(trained)) == 1


MODELS = sorted(Path(__file__).resolve().parents[3].glob("models/*/configs/metadata.json"))


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.parents[1].name)
def test_every_bundle_of_the_project_describes_itself(file: Path) -> None:
    bundle = Bundle(file.parents[1])

    assert set(bundle.metadata) >= METADATA_KEYS
    assert set(bundle.train) >= RECIPE_KEYS
    assert bundle.metadata["status"] in ("trained", "untrained")
    if bundle.trained:
        assert bundle.weight_files
        for relative in bundle.weight_files:
            checked_file(bundle, relative)
    else:
        assert bundle.weight_files == {}


def test_the_project_has_the_bundles_that_the_pipeline_asks_for() -> None:
    wanted = {"nodule_ct_attributes", "nodule_ct_detection", "nodule_ct_segmentation", "nodule_fusion"}
    assert wanted <= {f.parents[1].name for f in MODELS}


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.parents[1].name)
def test_no_fold_is_trained_on_and_reported_on(file: Path) -> None:
    folds = Bundle(file.parents[1]).train["folds"]

    seen = set(folds.get("cross_fitted", ())) | set(folds.get("train", ())) | set(folds.get("validation", ()))
    assert seen
    assert not seen & set(folds["test"])
