"""Engines for the networks on a CPU, side by side: ``engines.py -o engines.json``; about three minutes on two cores.

One network of the encoder's and one of the segmenter's ensemble, on a batch as it is used: PyTorch as it is used
(bfloat16 where the processor has it, channels last) and in other ways, torch.compile (needs a C++ compiler), ONNX
Runtime and OpenVINO (not requirements: ``pip install --target DIR onnx onnxscript onnxruntime openvino`` and
``PYTHONPATH``). How far the answers lie from those of float32 stands beside the time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from machine import processor  # noqa: E402

from LungNoduleCADLib.bundles.registry import find_bundle  # noqa: E402
from LungNoduleCADLib.bundles.weights import load_members  # noqa: E402
from LungNoduleCADLib.networks.build import autocast  # noqa: E402

AS_USED = "PyTorch as used"
SHAPES = {"nodule_ct_attributes": (16, 1, 32, 32, 32), "nodule_ct_segmentation": (4, 2, 48, 48, 48)}
Engine = Callable[[Tensor], Tensor]


class OneAnswer(nn.Module):
    """An encoder seen through its malignancy head, any other network as it is; ``shape`` of what it is asked."""

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.shape = network, shape

    def forward(self, x: Tensor) -> Tensor:
        answer = self.network(x)
        return answer["malignancy"] if isinstance(answer, dict) else answer


def as_used(network: OneAnswer) -> Engine:
    def run(x: Tensor) -> Tensor:
        with autocast("cpu"):
            return network(x.contiguous(memory_format=torch.channels_last_3d))

    return run


def in_float32(network: OneAnswer) -> Engine:
    return lambda x: network(x.contiguous(memory_format=torch.channels_last_3d))


def compiled(network: OneAnswer) -> Engine:
    return as_used(torch.compile(network))  # type: ignore[arg-type]


def onnx_runtime(network: OneAnswer) -> Engine:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        torch.onnx.export(network, (torch.zeros(network.shape),), str(file), input_names=["x"], dynamo=True)
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def openvino(network: OneAnswer, precision: str) -> Engine:
    import openvino as ov

    model = ov.convert_model(network, example_input=torch.zeros(network.shape), input=list(network.shape))
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    run = ov.compile_model(model, "CPU", settings)
    return lambda x: torch.from_numpy(run(x.numpy())[0].copy())


ENGINES: dict[str, Callable[[OneAnswer], Engine]] = {
    AS_USED: as_used,
    "PyTorch, float32": in_float32,
    "torch.compile": compiled,
    "ONNX Runtime, float32": onnx_runtime,
    "OpenVINO, float32": lambda network: openvino(network, "f32"),
    "OpenVINO, bfloat16": lambda network: openvino(network, "bf16"),
}
NEEDS = {"ONNX Runtime, float32": ("onnxruntime", "onnxscript"), "OpenVINO, float32": ("openvino",)}
NEEDS["OpenVINO, bfloat16"] = NEEDS["OpenVINO, float32"]


def measured(run: Engine, x: Tensor, passes: int) -> tuple[float, float]:
    """Median milliseconds of a pass, and of processor time, after two to warm up."""
    spent = []
    for _ in range(passes + 2):
        start, used = time.perf_counter(), time.process_time()
        run(x)
        spent.append((time.perf_counter() - start, time.process_time() - used))
    wall, cpu = zip(*spent[2:], strict=True)
    return round(1000 * median(wall), 2), round(1000 * median(cpu), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--json", type=Path, required=True)
    parser.add_argument("--passes", type=int, default=30)
    parser.add_argument("--only", nargs="*", help="names of engines, by their beginning")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    about = {
        "cpu": processor(), "cpu_count": os.cpu_count(), "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0], "torch": torch.__version__,
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for bundle, shape in SHAPES.items():
        network = OneAnswer(load_members(find_bundle(bundle), "cpu")[0], shape).eval()
        x = torch.rand(shape) * 2 - 1
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            expected = network(x)
        for name, make in ENGINES.items():
            if arguments.only and not name.startswith(tuple(arguments.only)):
                continue
            lacking = [package for package in NEEDS.get(name, ()) if importlib.util.find_spec(package) is None]
            if lacking:
                missing[name] = f"needs {', '.join(lacking)}"
                continue
            try:
                rows.append(_row(bundle, name, make, network, x, expected, arguments.passes))
                print(json.dumps(rows[-1]), flush=True)
            except Exception as error:  # an engine that cannot take a network says so in its own way
                missing[f"{name}, {bundle}"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
                print(f"not measured: {name}, {bundle}: {missing[f'{name}, {bundle}']}", flush=True)
            result = {**about, "rows": rows, "not_measured": missing}
            arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _row(
    bundle: str,
    name: str,
    make: Callable[[OneAnswer], Engine],
    network: OneAnswer,
    x: Tensor,
    expected: Tensor,
    passes: int,
) -> dict[str, Any]:
    start = time.perf_counter()
    with torch.no_grad():
        run = make(network)
        answer = run(x)
        ready = time.perf_counter() - start
        milliseconds, of_processor = measured(run, x, passes)
    return {
        "network": bundle,
        "engine": name,
        "batch": list(x.shape),
        "milliseconds": milliseconds,
        "processor_milliseconds": of_processor,
        "seconds_until_first_answer": round(ready, 2),
        "largest_difference_from_float32": float((answer - expected).abs().max()),
    }


if __name__ == "__main__":
    main()
