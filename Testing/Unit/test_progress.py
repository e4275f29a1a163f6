from __future__ import annotations

import pytest

from LungNoduleCADLib.progress import Progress


def run_stages(names: list[tuple[str, float]]) -> tuple[list[float], Progress]:
    heard: list[float] = []
    progress = Progress(names, lambda _stage, fraction, _message: heard.append(fraction))
    for name, _ in names:
        with progress.stage(name, f"doing {name}"):
            progress.report(0.25)
            progress.report(0.75)
    return heard, progress


def test_the_fraction_never_falls_and_ends_at_one() -> None:
    heard, _ = run_stages([("load", 1.0), ("detect", 6.0), ("write", 3.0)])

    assert heard == sorted(heard)
    assert heard[0] == 0.0
    assert heard[-1] == pytest.approx(1.0)


def test_a_stage_that_runs_twice_counts_twice() -> None:
    heard, _ = run_stages([("load", 4.0), ("lungs", 12.0), ("load", 4.0), ("lungs", 12.0), ("write", 8.0)])

    assert heard == sorted(heard)
    assert max(heard) == pytest.approx(1.0)
    assert heard[8] == pytest.approx(16 / 40)


def test_a_stage_cannot_run_past_its_share() -> None:
    heard: list[float] = []
    progress = Progress([("a", 1.0), ("b", 1.0)], lambda _stage, fraction, _message: heard.append(fraction))
    with progress.stage("a"):
        progress.report(7.0)

    assert max(heard) == pytest.approx(0.5)


def test_every_stage_leaves_what_it_cost() -> None:
    _, progress = run_stages([("load", 1.0), ("write", 1.0)])

    assert [cost.stage for cost in progress.costs] == ["load", "write"]
    assert all(cost.seconds >= 0 and cost.peak_memory_mb > 1 for cost in progress.costs)


def test_nobody_need_listen_and_no_shares_need_be_known() -> None:
    progress = Progress()
    with progress.stage("anything"):
        progress.report(0.5)

    assert progress.costs[0].stage == "anything"
