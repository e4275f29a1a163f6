"""What ``analyse``, ``compare`` and ``demo`` share: input to results folder, through the pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LungNoduleCADLib.cli.console import wide_console
from LungNoduleCADLib.cli.memory import keep_freed_memory
from LungNoduleCADLib.cli.packages import package_versions
from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.json_file import read_json
from LungNoduleCADLib.progress import Listener, Progress

if TYPE_CHECKING:
    from LungNoduleCADLib.backends.choose import Backends
    from LungNoduleCADLib.domain.ct import CtVolume
    from LungNoduleCADLib.domain.study import SeriesDescription
    from LungNoduleCADLib.pipeline import AnalysedStudy, Comparison, Models

LOAD, WRITE = ("load", 4.0), ("write", 8.0)
CLINICAL_SCHEMA = "clinical.schema.json"


class Session:
    """One run of the pipeline from the command line."""

    def __init__(
        self,
        device: str,
        threshold: float | None,
        listener: Listener | None,
        command: str,
        backends: Backends | None = None,
    ) -> None:
        self.device, self.threshold, self.listener, self.command = device, threshold, listener, command
        self.backends = backends
        self.findings: StudyFindings | None = None

    def analyse(
        self,
        source: Path,
        out: Path,
        *,
        priors: Sequence[Path] = (),
        points_lps_mm: Sequence[Point] = (),
        clinical_file: Path | None = None,
        study_date: date | None = None,
        prior_date: date | None = None,
        finish: Callable[[Path, StudyFindings], None] | None = None,
    ) -> StudyFindings:
        """Analyse a scan, compare it with prior ones if there are any, and write everything to ``out``.

        ``source`` and ``priors`` are DICOM folders, image files or earlier results; ``prior_date`` is that of a single
        prior. ``finish`` may add files to the
        folder before it takes its place. Raises the errors of every stage; ``out`` is then as it was before.
        """
        from LungNoduleCADLib.report.folder import check_writable, new_results, put_right

        keep_freed_memory()
        check_writable(out)
        for path in (source, *priors):
            put_right(path)
            if not path.exists():
                raise InputError("There is nothing to read", expected="a folder or a file", got=str(path))
        clinical = read_clinical(clinical_file) if clinical_file else None
        from LungNoduleCADLib import pipeline
        from LungNoduleCADLib.networks.build import choose_device

        self.device = choose_device(self.device)
        progress = Progress(_stages(source, priors), self.listener)
        with new_results(out) as folder:
            # both are read before the models are loaded: what cannot be read is said at once
            ct = _read(source, progress, study_date)
            earlier = _in_order([_read(path, progress, prior_date) for path in priors], ct)
            opened = _opened(self.backends, self.device) if self.backends else {}
            models = pipeline.Models.load(self.device, self.threshold, **opened)
            current = self._analysed(ct, models, progress, points_lps_mm, clinical)
            compared = self._compared(earlier, current, models, progress) if earlier else None
            with progress.stage("write", "writing the report"):
                current = compared.current if compared else current
                findings = self._with_provenance(current.findings, progress)
                self._write(folder, replace(current, findings=findings), compared)
            _finish_run_file(folder, progress)
            if finish:
                finish(folder, findings)
        self.findings = findings
        return findings

    def print_findings(self, out: Path) -> None:
        """A table of what was found, for people."""
        from rich.table import Table

        if self.findings is None:
            return
        console = wide_console()
        changes = {m.current_id: m for m in self.findings.comparison.matches} if self.findings.comparison else {}
        columns = ["", "where", "mean diameter mm", "volume mm³", "type", "malignancy", "Lung-RADS"]
        table = Table(*columns, *(["change", "VDT days"] if changes else []))
        for nodule in self.findings.nodules:
            size, match = nodule.measurements, changes.get(nodule.id)
            malignancy = nodule.malignancy.probability if nodule.malignancy else None
            row = [
                nodule.id,
                f"{size.side or '?'} {size.zone or ''}" if size else "not outlined",
                f"{size.axes.mean_diameter_mm:.1f}" if size else "",
                f"{size.volume_mm3:.0f}" if size else "",
                str(nodule.type.type) if nodule.type else "",
                "" if malignancy is None else f"{malignancy:.0%}",
                str(nodule.lung_rads.category) if nodule.lung_rads else "",
            ]
            if changes:
                vdt = match.growth.vdt_days if match and match.growth and match.change is Change.GROWING else None
                row += [str(match.change) if match else "", "" if vdt is None else f"{vdt:.0f}"]
            table.add_row(*row)
        console.print(table)
        exam = self.findings.lung_rads
        if exam is not None:
            console.print(f"Lung-RADS {exam.category}{'S' if exam.modifier_s else ''}: {exam.management}")
        console.print(f"{out / 'report.pdf'}    Research use only.", soft_wrap=True)

    def _analysed(
        self,
        study: AnalysedStudy | CtVolume,
        models: Models,
        progress: Progress,
        points: Sequence[Point],
        clinical: ClinicalContext | None,
        *,
        search: bool = True,
    ) -> AnalysedStudy:
        from LungNoduleCADLib import pipeline

        if isinstance(study, pipeline.AnalysedStudy):
            if points:
                raise UsageError("--at needs the scan itself", got="earlier results", todo="give the DICOM folder")
            return pipeline.with_clinical(study, clinical) if clinical else study
        return pipeline.analyse_study(
            study,
            models,
            progress,
            points_lps_mm=points,
            clinical=clinical,
            device=self.device,
            search=search,
        )

    def _compared(
        self,
        earlier: list[AnalysedStudy | CtVolume],
        current: AnalysedStudy,
        models: Models,
        progress: Progress,
    ) -> Comparison:
        """With the last of the earlier exams, then with those before it, in which nothing is searched for."""
        from LungNoduleCADLib import pipeline

        prior = self._analysed(earlier.pop(), models, progress, (), None)
        compared = pipeline.compare_studies(prior, current, models, progress)
        if not earlier:
            return compared
        exams = (self._analysed(study, models, progress, (), None, search=False) for study in earlier)
        return pipeline.with_earlier(compared, exams, models, progress)

    def _with_provenance(self, findings: StudyFindings, progress: Progress) -> StudyFindings:
        return replace(
            findings,
            provenance=replace(
                findings.provenance, command=self.command, packages=package_versions(), stages=tuple(progress.costs)
            ),
        )

    def _write(self, folder: Path, current: AnalysedStudy, compared: Comparison | None) -> None:
        from LungNoduleCADLib.report.reread import TRANSFORM_NAME, write_ct
        from LungNoduleCADLib.report.write import PRIOR, write_results

        prior = compared.prior if compared else None
        write_results(current.findings, current.ct, current.lungs, folder, prior.ct if prior else None)
        write_ct(current.ct, current.lungs, folder)
        if compared is not None and prior is not None:
            from LungNoduleCADLib.imaging.sitk_bridge import write_transform

            (folder / PRIOR).mkdir()
            write_results(prior.findings, prior.ct, prior.lungs, folder / PRIOR)
            write_ct(prior.ct, prior.lungs, folder / PRIOR)
            write_transform(compared.registration.transform, folder / TRANSFORM_NAME)


def read_clinical(file: Path) -> ClinicalContext:
    """Clinical facts from a JSON object as ``clinical.schema.json`` describes it; a field left out is unknown.

    Raises
    ------
    InputError : not JSON, an unknown field, or a value of the wrong kind.
    """
    try:
        facts = read_json(file)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file} cannot be read as clinical facts",
            expected="a JSON file",
            got=str(error),
            todo=f"see Resources/{CLINICAL_SCHEMA}",
        ) from error
    return clinical_context(facts, file.name)


def clinical_context(facts: Any, name: str) -> ClinicalContext:
    """Clinical facts from plain JSON values; InputError as ``read_clinical``."""
    return ClinicalContext(**checked_facts(facts, name, CLINICAL_SCHEMA))


def checked_facts(facts: Any, name: str, schema_name: str) -> dict[str, Any]:
    """A reader's facts as they are, if they fit a schema of Resources/; else InputError names the place in ``name``."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    from LungNoduleCADLib.report.findings_json import schema_path

    schema = json.loads(schema_path(schema_name).read_text(encoding="utf-8"))
    wrong = best_match(Draft202012Validator(schema).iter_errors(facts))
    if wrong is not None:
        place = wrong.json_path.removeprefix("$").lstrip(".") or "its top level"
        raise InputError(f"{name} is not valid at {place}", got=wrong.message, todo=f"see Resources/{schema_name}")
    return facts


def _in_order(
    exams: list[AnalysedStudy | CtVolume], current: AnalysedStudy | CtVolume
) -> list[AnalysedStudy | CtVolume]:
    """Oldest first; InputError where they cannot be put in order or compared with the current one."""
    from LungNoduleCADLib.followup.exams import check_order, in_order

    for exam in exams:
        check_order(_series_of(exam), _series_of(current))
    return [exams[n] for n in in_order([_series_of(exam) for exam in exams])]


def _series_of(exam: AnalysedStudy | CtVolume) -> SeriesDescription:
    from LungNoduleCADLib import pipeline

    return exam.findings.series if isinstance(exam, pipeline.AnalysedStudy) else exam.series


def _opened(backends: Backends, device: str) -> dict[str, Any]:
    """What was named in place of the usual detector and segmenter; the bundled network may be named, too."""
    from LungNoduleCADLib.bundles.registry import find_bundle
    from LungNoduleCADLib.nodules.detector import BUNDLE, NoduleDetector

    if backends.detector != BUNDLE:
        return backends.opened(device)
    detector = NoduleDetector.from_bundle(find_bundle(BUNDLE), device)
    return {"detector": detector, **replace(backends, detector=None).opened(device)}


def _stages(source: Path, priors: Sequence[Path]) -> list[tuple[str, float]]:
    """What a run does, with its shares; earlier results are only read."""
    from LungNoduleCADLib import pipeline
    from LungNoduleCADLib.report.folder import is_result

    sources = [source, *priors]
    analyses = [stage for path in sources if not is_result(path) for stage in pipeline.ANALYSIS_STAGES]
    return [LOAD] * len(sources) + analyses + pipeline.COMPARISON_STAGES * len(priors) + [WRITE]


def _read(source: Path, progress: Progress, study_date: date | None) -> AnalysedStudy | CtVolume:
    """Earlier results as they are, everything else as a CT."""
    from LungNoduleCADLib import pipeline
    from LungNoduleCADLib.dicom.load import load_ct
    from LungNoduleCADLib.report.folder import is_result
    from LungNoduleCADLib.report.reread import read_study

    with progress.stage("load", "reading the scan"):
        return pipeline.AnalysedStudy(*read_study(source)) if is_result(source) else load_ct(source, study_date)


def _finish_run_file(folder: Path, progress: Progress) -> None:
    """``run.json`` was written inside the last stage; add what that stage cost."""
    from dataclasses import asdict

    file = folder / "run.json"
    run = json.loads(file.read_text(encoding="utf-8"))
    run["stages"] = [asdict(cost) for cost in progress.costs]
    run["total_seconds"] = round(sum(cost.seconds for cost in progress.costs), 3)
    run["peak_memory_mb"] = max(cost.peak_memory_mb for cost in progress.costs)
    file.write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
