"""A reader's requests as corrections of a results folder, each on disk before it is answered."""

from __future__ import annotations

import io
import math
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LungNoduleCADLib.cli.work import clinical_context
from LungNoduleCADLib.domain.lung_rads import Airway, Cyst, CystChange, LungRadsCategory
from LungNoduleCADLib.domain.nodule import NoduleType, Point, Review, StatedFacts
from LungNoduleCADLib.errors import UsageError
from LungNoduleCADLib.report import findings_json, update
from LungNoduleCADLib.report.outlines import FOLDER as OUTLINES
from LungNoduleCADLib.report.outlines import read_outline
from LungNoduleCADLib.report.reread import read_images, read_registration
from LungNoduleCADLib.report.segmentation import FILE_NAME as SEGMENTATION
from LungNoduleCADLib.report.write import IMAGES, PRIOR, missing_images

if TYPE_CHECKING:
    from LungNoduleCADLib.domain.masks import NoduleMask
    from LungNoduleCADLib.nodule_list import Models
    from LungNoduleCADLib.review_case import Case, CaseLooks

Request = dict[str, Any]
Answer = dict[str, Any]
_KINDS = {"airway": Airway, "cyst": Cyst, "cyst_change": CystChange}


class LateModels:
    """The models, loaded beside the first requests; a request that needs them earlier waits for them."""

    def __init__(self, device: str, afterwards: Callable[[], None]) -> None:
        self._loaded: Future[Models] = Future()
        self._thread = threading.Thread(target=self._load, args=(device, afterwards), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def __call__(self) -> Models:
        return self._loaded.result()

    @property
    def ready(self) -> bool:
        return self._loaded.done() and self._loaded.exception() is None

    @property
    def loading(self) -> bool:
        return self._thread.is_alive()

    def _load(self, device: str, afterwards: Callable[[], None]) -> None:
        try:
            from LungNoduleCADLib.networks.build import choose_device
            from LungNoduleCADLib.nodule_list import Models

            self._loaded.set_result(Models.load(choose_device(device)))
        except BaseException as error:  # whoever asks for the models is told
            self._loaded.set_exception(error)
        afterwards()


class Desk:
    """One results folder under review.

    Parameters
    ----------
    wake : called from another thread when there is idle work again.

    Raises
    ------
    InputError : the folder does not hold whole results.
    """

    def __init__(self, out: Path, device: str, wake: Callable[[], None]) -> None:
        self.out, self._wake = out.resolve(), wake
        self._models = LateModels(device, self._rehearse)
        self.case, self.looks = _take_up(self.out, self._models)
        self.document = findings_json.to_json(self.case.findings)
        self._drawing, self._rehearsed = threading.Lock(), threading.Event()
        self._verbs: dict[str, Callable[[Request], Answer]] = {"report": self._report, "export": self._export}
        self._corrections = self._make_corrections()
        self._segmented: Case | None = None if self._segmentation_is_old() else self.case
        self._prior_report: str | None = None  # the paper for it, where it is due

    def start(self) -> None:
        """Begin what goes on beside the answers."""
        self._models.start()

    @property
    def loading(self) -> bool:
        """Whether libraries are still being loaded."""
        return self._models.loading

    def answer(self, request: Request) -> Answer:
        """What a request leads to; raises LungNoduleCADError with everything as it was."""
        verb = _asked(request, "do", str)
        if verb in self._verbs:
            return {"findings": self.document, **self._verbs[verb](request)}
        if verb not in self._corrections:
            expected = ", ".join((*self._corrections, *self._verbs))
            raise UsageError("The request is not known", expected=f"one of {expected}", got=repr(verb))
        return self._take_over(self._corrections[verb](request))

    def use_idle_time(self) -> bool:
        """One short piece of work that is due or makes later answers quicker; whether there was any."""
        if self._finish_next():
            return True
        if not (self._rehearsed.is_set() and self._models.ready):
            return False
        from LungNoduleCADLib.report.pdf_cards import as_jpeg
        from LungNoduleCADLib.review_case import places_ahead

        if (missing := next(self._missing_images(), None)) is not None:
            path, draw = missing
            draw()
            as_jpeg(path)
            return True
        if (ahead := next(places_ahead(self.case, self.looks), None)) is not None:
            looks, point = ahead
            looks.look(point)
            return True
        return False

    def close(self) -> None:
        """Everything that follows the answers is on disk afterwards."""
        self._finish()

    def _make_corrections(self) -> dict[str, Callable[[Request], Case]]:
        from LungNoduleCADLib import review

        def nodule(request: Request) -> str:
            return _asked(request, "nodule", str)

        return {
            "review": lambda r: review.set_review(self.case, self.looks, nodule(r), _one_of(r, "review", Review)),
            "type": lambda r: review.set_type(self.case, self.looks, nodule(r), _one_of(r, "type", NoduleType)),
            "facts": lambda r: review.set_facts(self.case, self.looks, nodule(r), _stated(r)),
            "delete": lambda r: review.delete_nodule(self.case, self.looks, nodule(r)),
            "add": lambda r: review.add_nodule(self.case, self.looks, _point(r)),
            "outline": lambda r: review.draw_outline(self.case, self.looks, nodule(r), self._drawn(r)),
            "clinical": lambda r: review.set_clinical(
                self.case, self.looks, clinical_context(_asked(r, "clinical", dict), "clinical")
            ),
            "threshold": lambda r: review.set_threshold(self.case, self.looks, _number(r, "threshold")),
            "exam_category": lambda r: review.set_exam_category(
                self.case,
                self.looks,
                _one_of(r, "category", LungRadsCategory) if r.get("category") is not None else None,
            ),
        }

    def _take_over(self, case: Case) -> Answer:
        """The new state on disk, then in memory."""
        before = self.case
        if case is before:
            return {"findings": self.document, **_files(update.ChangedFiles())}
        saved = update.save_edit(self.out, before.findings, case.findings, self.document)
        self.case, self.document = case, saved.document
        earlier = saved.prior
        prior = {"prior": _files(earlier)} if earlier.names else {}
        return {"findings": self.document, **_files(saved.current), **prior}

    def _finish(self) -> None:
        """Everything that is due."""
        while self._finish_next():
            pass

    def _finish_next(self) -> bool:
        """One piece of what is due, so that the folder says the same throughout; whether there was any."""
        if self._segmented is not self.case:
            due = self._update_segmentation
        elif self._prior_report is not None:
            due = self._report_prior
        else:
            return False
        try:
            due()
        except Exception:  # what was answered is on disk; what follows from it is older than that, and so made again
            traceback.print_exc()
        return True

    def _update_segmentation(self) -> None:
        case, done = self.case, self._segmented
        self._segmented = case
        try:
            update.update_segmentation(self.out, case.findings, case.current.lungs)
            if case.prior is not None and (done is None or case.prior is not done.prior):
                update.update_segmentation(self.out / PRIOR, case.prior.findings, case.prior.lungs)
        except OSError as error:  # what was answered is in findings.json and outlines/; the next start tries again
            print(f"{SEGMENTATION} could not be brought up to date: {error}", file=sys.stderr)

    def _segmentation_is_old(self) -> bool:
        if not (self.out / OUTLINES).is_dir():
            return False
        written = (self.out / name for name in (SEGMENTATION, findings_json.FILE_NAME))
        segmentation, findings = (path.stat().st_mtime_ns for path in written)
        return segmentation < findings

    def _rehearse(self) -> None:
        """A nodule and a report that nobody sees, so that the first real ones need not load and convert everything."""
        from LungNoduleCADLib.report.pdf import build_pdf

        try:
            for nodule in self.case.findings.nodules[:1]:
                self._models().characteriser.characterise(self.case.current.ct, nodule)
            with self._drawing:
                build_pdf(self.case.findings, self.out / IMAGES, io.BytesIO())
        except Exception:  # the real one will say what is wrong
            traceback.print_exc()
        self._rehearsed.set()
        self._wake()

    def _missing_images(self) -> Iterator[tuple[Path, Callable[[], None]]]:
        current, prior = self.case.current, self.case.prior
        images = self.out / IMAGES
        return missing_images(current.findings, current.ct, current.lungs, images, prior.ct if prior else None)

    def _drawn(self, request: Request) -> NoduleMask:
        return read_outline(Path(_asked(request, "file", str)), self.case.current.ct.geometry)

    def _report(self, request: Request) -> Answer:
        from LungNoduleCADLib.report.pages import FOLDER, draw_pages
        from LungNoduleCADLib.report.write import REPORT, write_report

        paper = _paper(request)
        with self._drawing:
            for _, draw in self._missing_images():
                draw()
            write_report(self.case.findings, self.out, paper)
        path = self.out / REPORT
        self._prior_report = paper
        pages = draw_pages(path, self.out / FOLDER)
        return {"report": str(path), "pages": [str(page) for page in pages]}

    def _report_prior(self) -> None:
        """The prior's own report, where a correction changed its nodules since it was written."""
        from LungNoduleCADLib.report.write import renew_report

        prior, paper, self._prior_report = self.case.prior, self._prior_report, None
        if prior is None or paper is None:
            return
        try:
            with self._drawing:
                renew_report(self.out / PRIOR, prior.findings, prior.ct, prior.lungs, paper)
        except OSError as error:
            print(f"the report of the prior CT could not be brought up to date: {error}", file=sys.stderr)

    def _export(self, request: Request) -> Answer:
        from LungNoduleCADLib.report.export import export_results

        source = request.get("dicom_source")
        folder = Path(_asked(request, "folder", str))
        self._finish()
        with self._drawing:
            for _, draw in self._missing_images():
                draw()
        files = export_results(self.out, folder, Path(source) if source else None, _paper(request))
        return {"files": [str(path) for path in files]}


def _take_up(out: Path, models: LateModels) -> tuple[Case, CaseLooks]:
    """The results as they were left, an edit that was never finished forgotten."""
    from LungNoduleCADLib.nodule_list import Looks
    from LungNoduleCADLib.pipeline import AnalysedStudy
    from LungNoduleCADLib.review_case import Case, CaseLooks, is_readers

    def looks_of(study: AnalysedStudy) -> Looks:
        known = [n for n in study.findings.nodules if n.mask is not None and not is_readers(n)]
        return Looks(study.ct, study.lungs, models, known)

    findings = findings_json.read_findings(out)
    edits = len(findings.edits)
    with suppress(OSError):
        update.forget_unfinished(out, edits)
    current = AnalysedStudy(*read_images(out, findings, edits))
    if findings.comparison is None or findings.prior is None or not (out / PRIOR).is_dir():
        return Case(current), CaseLooks(looks_of(current))
    prior = AnalysedStudy(*read_images(out / PRIOR, findings.prior, edits))
    current = replace(current, findings=replace(current.findings, prior=prior.findings))
    registration = read_registration(out, findings.comparison)
    return Case(current, prior, registration), CaseLooks(looks_of(current), looks_of(prior))


def _files(changed: update.ChangedFiles) -> dict[str, Any]:
    return {
        "masks": {nodule_id: str(path) for nodule_id, path in changed.masks.items()},
        "saliency": {nodule_id: str(path) for nodule_id, path in changed.saliency.items()},
        "added": changed.added,
        "removed": changed.removed,
    }


def _asked(request: Request, name: str, kind: type) -> Any:
    value = request.get(name)
    if not isinstance(value, kind):
        raise UsageError(f"The request lacks {name!r}", expected=f"a {kind.__name__}", got=repr(value))
    return value


def _number(request: Request, name: str) -> float:
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError(f"The request lacks {name!r}", expected="a number", got=repr(value))
    return float(value)


def _one_of(request: Request, name: str, values: type) -> Any:
    known = [str(value) for value in values]  # type: ignore[attr-defined]
    if request.get(name) not in known:
        raise UsageError(
            f"The request's {name!r} is not known", expected=f"one of {', '.join(known)}", got=repr(request.get(name))
        )
    return values(request[name])


def _stated(request: Request) -> StatedFacts:
    facts = _asked(request, "facts", dict)
    try:
        return StatedFacts(**{name: _answer(name, value) for name, value in facts.items()})
    except (TypeError, ValueError) as error:
        names = ", ".join(field.name for field in fields(StatedFacts))
        raise UsageError(
            "The request's 'facts' are not understood",
            expected=f"true, false, null or one of the words of findings.schema.json for {names}",
            got=repr(facts),
        ) from error


def _answer(name: str, value: Any) -> Any:
    if value is None or (isinstance(value, bool) and name not in _KINDS):
        return value
    if name not in _KINDS:
        raise ValueError(f"{value!r} is neither true nor false")
    return _KINDS[name](value)


def _point(request: Request) -> Point:
    name = "point_lps_mm"
    value = _asked(request, name, list)
    if len(value) != 3:
        raise UsageError("That is no point", expected="three numbers L, P, S in mm", got=repr(value))
    return tuple(_number({name: v}, name) for v in value)  # type: ignore[return-value]


def _paper(request: Request) -> str:
    from LungNoduleCADLib.report.pdf_style import PAPERS

    name = request.get("paper") or "A4"
    if name not in PAPERS:
        raise UsageError("That paper is not known", expected=f"one of {', '.join(PAPERS)}", got=repr(name))
    return name
