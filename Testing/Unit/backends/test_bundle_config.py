from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import UNet
from safetensors.torch import save_file

from LungNoduleCADLib.backends.bundle_config import BundleConfig
from LungNoduleCADLib.errors import ModelError

MakeBundle = Callable[..., Path]


class Trap:
    """Pickled, it would make a file when it is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_plain_parts_are_built_though_other_parts_hold_code(bundle: MakeBundle) -> None:
    config = BundleConfig(bundle())

    assert isinstance(config.build("network_def"), UNet)
    assert isinstance(config.build("inferer"), SlidingWindowInferer)


def test_references_between_plain_parts_are_followed(bundle: MakeBundle) -> None:
    def change(inference: dict[str, Any]) -> None:
        inference |= {"sizes": {"outputs": 5}, "alias": "@sizes::outputs"}
        inference["network_def"]["out_channels"] = "@alias"

    network = BundleConfig(bundle(change)).build("network_def")

    assert network(torch.zeros(1, 1, 8, 8, 8)).shape[1] == 5


def put(part: str, key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(inference: dict[str, Any]) -> None:
        inference[part][key] = value

    return change


def touching(file: Path) -> dict[str, Callable[[dict[str, Any]], None]]:
    """Ways in which a configuration would run code that makes a file."""
    expression = f"$__import__('pathlib').Path({str(file)!r}).touch()"
    program = {"_target_": "pathlib.Path.touch", "self": file.name}

    def by_reference(inference: dict[str, Any]) -> None:
        inference["trap"] = {"deep": [expression]}
        inference["network_def"]["out_channels"] = "@trap::deep::0"

    def by_old_reference(inference: dict[str, Any]) -> None:
        inference["trap"] = {"deep": [expression]}
        inference["network_def"]["out_channels"] = "@trap#deep#0"

    def by_import(inference: dict[str, Any]) -> None:
        inference["imports"] = [f"$import os; os.close(os.open({str(file)!r}, os.O_CREAT))"]
        inference["network_def"]["out_channels"] = "$2"

    return {
        "an expression": put("network_def", "out_channels", expression),
        "a requirement": put("network_def", "_requires_", [expression]),
        "a nested program": put("network_def", "norm", program),
        "another target": put("network_def", "_target_", "os.system"),
        "a function of MONAI": put("network_def", "_target_", "run_cmd"),
        "a known name in another package": put("network_def", "_target_", "elsewhere.UNet"),
        "a referred target": put("network_def", "_target_", "@device"),
        "another mode": put("network_def", "_mode_", "debug"),
        "a macro": put("network_def", "out_channels", "%/etc/passwd::0"),
        "a relative reference": put("network_def", "out_channels", "@::::device"),
        "a reference": by_reference,
        "an old reference": by_old_reference,
        "an import": by_import,
    }


@pytest.mark.parametrize("way", touching(Path("made")))
def test_code_in_a_part_is_refused_and_not_run(bundle: MakeBundle, tmp_path: Path, way: str) -> None:
    made = tmp_path / "made"
    config = BundleConfig(bundle(touching(made)[way]))

    with pytest.raises(ModelError, match=r"would run code of its own.*--allow-bundle-code"):
        config.build("network_def")

    assert not made.exists()


def test_code_runs_when_a_person_allows_it(bundle: MakeBundle, tmp_path: Path) -> None:
    made = tmp_path / "made"
    folder = bundle(put("network_def", "out_channels", f"$__import__('pathlib').Path({str(made)!r}).write_text('hm')"))

    network = BundleConfig(folder, allow_code=True).build("network_def")

    assert made.read_text(encoding="utf-8") == "hm"
    assert network(torch.zeros(1, 1, 8, 8, 8)).shape[1] == 2


def test_allowed_code_knows_where_the_bundle_lies(bundle: MakeBundle) -> None:
    def change(inference: dict[str, Any]) -> None:
        inference["bundle_root"] = "."
        inference["where"] = "$@bundle_root"

    folder = bundle(change)

    assert BundleConfig(folder, allow_code=True).build("where") == str(folder)


def test_a_part_that_is_missing_or_cannot_be_built_is_named(bundle: MakeBundle) -> None:
    with pytest.raises(ModelError, match="does not say what its network_def is"):
        BundleConfig(bundle(lambda inference: inference.pop("network_def"))).build("network_def")
    with pytest.raises(ModelError, match="network_def of the MONAI bundle elsewhere cannot be built"):
        BundleConfig(bundle(put("network_def", "wings", 2))).build("network_def")


def test_yaml_is_read_as_json_is(bundle: MakeBundle) -> None:
    pytest.importorskip("yaml", reason="PyYAML is optional: bundles in YAML ask for it")
    folder = bundle()
    (folder / "configs/inference.json").unlink()
    (folder / "configs/inference.yaml").write_text("inferer: {_target_: SimpleInferer}\n", encoding="utf-8")

    assert BundleConfig(folder).build("inferer").__class__.__name__ == "SimpleInferer"


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_that_is_no_bundle_is_refused(bundle: MakeBundle, content: str | None) -> None:
    folder = bundle()
    file = folder / "configs/inference.json"
    file.unlink() if content is None else file.write_text(content, encoding="utf-8")

    with pytest.raises(ModelError, match=r"is no MONAI bundle|cannot be read"):
        BundleConfig(folder)


@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_are_loaded_and_name_their_digest(bundle: MakeBundle, wrapped: bool) -> None:
    config = BundleConfig(bundle())
    network, other = config.build("network_def"), config.build("network_def")
    state = network.state_dict()
    method = BundleConfig(bundle(weights={"model": state} if wrapped else state)).load_into(other)

    assert (method.name, method.version, len(method.sha256 or "")) == ("elsewhere", "0.3.1", 64)
    for name, tensor in state.items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_safetensors_are_taken_before_a_checkpoint(bundle: MakeBundle) -> None:
    folder = bundle()
    save_file({"a": torch.ones(2)}, folder / "models/model.safetensors")

    file, tensors = BundleConfig(folder).weights()

    assert file.name == "model.safetensors"
    assert torch.equal(tensors["a"], torch.ones(2))


def test_weights_that_would_run_code_are_refused_and_not_run(bundle: MakeBundle, tmp_path: Path) -> None:
    made = tmp_path / "made"
    config = BundleConfig(bundle(weights={"model": Trap(made)}), allow_code=True)

    with pytest.raises(ModelError, match="expected tensors and nothing else"):
        config.weights()

    assert not made.exists()


def test_missing_and_strange_weights_are_refused(bundle: MakeBundle) -> None:
    folder = bundle(weights={"other.weight": torch.ones(1)})
    config = BundleConfig(folder)

    with pytest.raises(ModelError, match="do not fit its network"):
        config.load_into(config.build("network_def"))
    (folder / "models/model.pt").unlink()
    with pytest.raises(ModelError, match="has no weights"):
        config.weights()
