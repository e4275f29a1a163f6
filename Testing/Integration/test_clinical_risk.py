"""The risk models on real nodules: what the benchmark wrote is what the models say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from LungNoduleCADLib.evaluation.discrimination import auc
from LungNoduleCADLib.guidelines.risk import estimate_risk
from LungNoduleCADLib.guidelines.risk_models import BROCK_2B, VA

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def benchmark(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("clinical_risk", repository / "Testing/Benchmarks/clinical_risk.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(repository: Path) -> dict:
    return json.loads((repository / "Testing/Benchmarks/clinical_risk.json").read_text(encoding="utf-8"))["models"]


def test_the_figures_in_the_repository_are_those_of_the_models(
    shared_data: Path, benchmark: ModuleType, written: dict
) -> None:
    facts, malignant, _ = benchmark.read_table(shared_data / "tables/uk-nodules-999.csv")
    brock = [estimate_risk(BROCK_2B, one) for one in facts]
    assert all(one.probability is None for one in brock)
    low, high = np.array([one.probability_range for one in brock]).T
    (ranges,) = written["Brock 2b"]["ranges"]
    for end, values in (("lower_end", low), ("upper_end", high)):
        assert auc(malignant, values) == pytest.approx(ranges[end]["auc"]["value"], abs=1e-4)
        assert values.mean() == pytest.approx(ranges[end]["mean_probability"], abs=1e-4)


def test_only_those_who_never_smoked_or_still_do_have_all_that_va_asks(
    shared_data: Path, benchmark: ModuleType, written: dict
) -> None:
    facts, _, _ = benchmark.read_table(shared_data / "tables/uk-nodules-999.csv")
    whole = [estimate_risk(VA, one).probability is not None for one in facts]
    assert sum(whole) == written["VA"]["probability"] == 151 + 238
    assert sum(written["VA"]["refused"].values()) == 999 - sum(whole)
