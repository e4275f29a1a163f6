"""The run over a cohort: what waits is handed to workers, what comes back is kept at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import replace
from pathlib import Path

from LungNoduleCADLib.cohort.overview import FILE_NAME as OVERVIEW
from LungNoduleCADLib.cohort.overview import overview_html
from LungNoduleCADLib.cohort.process import Outcome, Status, Task, run_task
from LungNoduleCADLib.cohort.scans import Scan
from LungNoduleCADLib.cohort.tables import Row, write_csv, write_tables
from LungNoduleCADLib.report.folder import exchange

KEY = "key.csv"
MOST_TRIES = 3
WRITING_SHARE, QUICK_SECONDS = 0.05, 0.5
Listener = Callable[[float, str], None]


class Batch:
    """A cohort on its way into a folder.

    Whenever a scan is finished the tables and the overview are written again; once that takes more than half a second
    of processor time, in at most 5 % of the time. So they are at most that much behind, whenever the run is killed.
    ``OUT/<id>`` is whole or not there.
    """

    def __init__(self, scans: Sequence[Scan], out: Path, task: Task) -> None:
        """``task``: what all tasks share; scan and place are put in."""
        self.out = out
        self.tasks = {scan.id: replace(task, scan=scan, out=out / scan.id) for scan in scans}
        self.outcomes = {scan.id: Outcome(Status.WAITING) for scan in scans}
        self.tries = dict.fromkeys(self.tasks, 0)
        self._pending, self._written, self._took = True, 0.0, 0.0

    def run(self, executor: Executor, report: Listener = lambda *_: None) -> None:
        """Until no scan waits. A task whose process died is tried again, ``MOST_TRIES`` times in all."""
        self.out.mkdir(parents=True, exist_ok=True)
        _write_key(self.out / KEY, [task.scan for task in self.tasks.values()])
        running = {self._start(executor, name): name for name in self.tasks}
        try:
            self._write()
            self._took = 0.0  # the first time loads what it is written with
            report(0.0, self.summary())
            while running:
                finished, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in finished:
                    name = running.pop(future)
                    if self._keep(name, _outcome(future)):
                        running[self._start(executor, name)] = name
                if finished:
                    self._pending = True
                    report(1 - len(running) / len(self.tasks), self.summary())
                if self._pending and time.monotonic() - self._written >= self._least_pause():
                    self._write()
        finally:
            self._write()

    def summary(self) -> str:
        """In a sentence: how many are done, were done before, failed, wait."""
        counts = dict.fromkeys(Status, 0)
        for outcome in self.outcomes.values():
            counts[outcome.status] += 1
        done, skipped = counts[Status.DONE], counts[Status.SKIPPED]
        failed = counts[Status.FAILED] + counts[Status.BROKEN]
        waiting = counts[Status.WAITING]
        return f"{len(self.tasks)} scans: {done} analysed, {skipped} were done, {failed} failed, {waiting} wait"

    @property
    def failures(self) -> dict[str, str]:
        """{id: why} of the scans that failed."""
        return {name: outcome.error for name, outcome in self.outcomes.items() if outcome.status is Status.FAILED}

    def rows(self) -> list[Row]:
        """The table of scans, in the order in which they were given."""
        return [
            {
                **outcome.scan_row,
                "id": name,
                "status": str(Status.DONE if outcome.status is Status.SKIPPED else outcome.status),
                "error": outcome.error,
                "tries": self.tries[name],
                "seconds": outcome.seconds or None,
            }
            for name, outcome in self.outcomes.items()
        ]

    def _start(self, executor: Executor, name: str) -> Future[Outcome]:
        return executor.submit(run_task, self.tasks[name])

    def _keep(self, name: str, outcome: Outcome) -> bool:
        """Note what came of a try; whether there is to be another."""
        self.tries[name] += outcome.status is not Status.SKIPPED
        if outcome.status is not Status.BROKEN:
            self.outcomes[name] = outcome
        elif self.tries[name] >= MOST_TRIES:
            error = f"{outcome.error} Tried {self.tries[name]} times."
            self.outcomes[name] = replace(outcome, status=Status.FAILED, error=error)
        return outcome.status is Status.BROKEN and self.tries[name] < MOST_TRIES

    def _least_pause(self) -> float:
        """Seconds from one writing to the next."""
        return 0.0 if self._took < QUICK_SECONDS else self._took / WRITING_SHARE

    def _write(self) -> None:
        start = time.thread_time()
        rows = self.rows()
        nodules = (row for outcome in self.outcomes.values() for row in outcome.nodule_rows)
        write_tables(self.out, rows, nodules)
        exchange(self.out / OVERVIEW, lambda path: path.write_text(overview_html(self.out, rows), encoding="utf-8"))
        self._pending, self._written, self._took = False, time.monotonic(), time.thread_time() - start


def is_batch(folder: Path) -> bool:
    """Whether a folder holds an earlier batch."""
    return (folder / KEY).is_file()


def _outcome(future: Future[Outcome]) -> Outcome:
    """What a worker answered; where the worker itself was lost, that."""
    error = future.exception()
    if error is None:
        return future.result()
    told = str(error).strip().splitlines()
    return Outcome(Status.BROKEN, f"The worker was lost ({type(error).__name__}{': ' + told[0] if told else ''}).")


def _write_key(path: Path, scans: Sequence[Scan]) -> None:
    """Which scan an id is of: the only file of a batch that holds paths, to be kept apart."""
    rows = [
        {"id": scan.id, "scan": str(scan.source), "prior": ";".join(map(str, scan.priors)), "clinical": scan.clinical}
        for scan in scans
    ]
    exchange(path, lambda partial: write_csv(partial, ("id", "scan", "prior", "clinical"), rows))
