"""The exam's category and why, the clinical facts, the report, and its export."""

import shutil
import tempfile
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.ClinicalForm import FACTS, ClinicalForm
from LungNoduleCADSlicer.Reading import Change
from LungNoduleCADSlicer.ReportPreview import ReportPreview, openFile
from LungNoduleCADSlicer.Signals import connect
from LungNoduleCADSlicer.Study import SCAN

DEBOUNCE_MILLISECONDS = 300
READER = "reader"
CATEGORIES = ("0", "1", "2", "3", "4A", "4B", "4X")
DICOM_FILES = "*.dcm"


class ReportPanel:
    """What the reader enters goes to the library's process; what it answers is shown."""

    def __init__(self, ui, reading, corrections, sources) -> None:
        self.ui, self.reading, self.corrections, self.sources = ui, reading, corrections, sources
        self.preview: ReportPreview | None = None
        self.exported: Path | None = None
        self._folders: list[Path] = []
        self.form = ClinicalForm(ui, self.onClinicalChanged)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MILLISECONDS)
        connect(self._timer, "timeout()", self.sendClinical)
        ui.categoryBox.addItem(_("by the rules"), "")
        for category in CATEGORIES:
            ui.categoryBox.addItem(category, category)
        ui.paperBox.addItem(_("A4"), "A4")
        ui.paperBox.addItem(_("US Letter"), "letter")
        connect(ui.categoryBox, "currentIndexChanged(int)", self.onCategoryChosen)
        connect(ui.previewButton, "clicked(bool)", self.onPreview)
        connect(ui.openReportButton, "clicked(bool)", self.onOpenReport)
        connect(ui.folderEdit, "currentPathChanged(QString)", self.onFolderChanged)
        connect(ui.exportButton, "clicked(bool)", self.onExport)
        connect(ui.databaseButton, "clicked(bool)", self.onDatabase)
        connect(ui.openFolderButton, "clicked(bool)", self.onOpenFolder)
        reading.observe(self.onReadingChanged)

    def setParameters(self, parameters) -> None:
        """Nothing of this panel is kept in the parameters: the clinical facts are the study's."""

    def close(self) -> None:
        self._timer.stop()
        if self.preview is not None:
            self.preview.close()
            self.preview = None
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    # ---- what the reading says

    def onReadingChanged(self, change: Change) -> None:
        if change is Change.SELECTION:
            return
        study = self.reading.study
        if change is Change.STUDY:
            self._timer.stop()
            self.exported = None
            self._say(self.ui.exportedLabel, "")
            self._say(self.ui.clinicalLabel, "")
        self.showExam()
        if not self._timer.active and not self.corrections.busy:  # what was just entered is not taken back
            self.form.show(self._filled() if study is not None else {})
        self.showPossible()

    def showExam(self) -> None:
        """The category and the rule that decided it, as the report says it."""
        study = self.reading.study
        exam = study.findings["lung_rads"] if study is not None else None
        self.ui.examLabel.text = categoryText(exam)
        lines = []
        if exam is not None:
            lines = [
                _("Why: {reason}. Rule {rule_id}, {source}.").format(**exam),
                exam["management"],
                _("S: a significant finding other than lung cancer was reported.") if exam["modifier_s"] else "",
            ]
        self.ui.reasonLabel.text = "\n".join(filter(None, lines))
        self._say(self.ui.notesLabel, "\n".join(f"• {note}" for note in exam["notes"]) if exam is not None else "")
        byReader = exam is not None and exam["decided_by"] == READER
        wasBlocked = self.ui.categoryBox.blockSignals(True)
        self.ui.categoryBox.currentIndex = 1 + CATEGORIES.index(exam["category"]) if byReader else 0
        self.ui.categoryBox.blockSignals(wasBlocked)

    def showPossible(self) -> None:
        """What can be done now, and why the rest cannot."""
        study = self.reading.study
        reason = self.corrections.whyNotPossible()
        for widget in (self.ui.clinicalFrame, self.ui.categoryBox, self.ui.previewButton):
            widget.enabled = not reason
        noDicom = self._whyNoDicom() if study is not None else ""
        self.ui.exportButton.enabled = not reason and bool(self.ui.folderEdit.currentPath.strip())
        self.ui.databaseButton.enabled = not reason and not noDicom
        self.ui.openReportButton.enabled = study is not None and (study.folder / "report.pdf").is_file()
        self.ui.openFolderButton.enabled = self.exported is not None
        self._say(self.ui.possibleLabel, reason or noDicom)

    # ---- clinical facts and the exam's category

    def onClinicalChanged(self) -> None:
        self._timer.start()
        self._say(self.ui.clinicalLabel, "\n".join(self.form.faults))

    def sendClinical(self) -> None:
        """The facts as they are in the form, where they say something new and all of them can be read."""
        self._timer.stop()
        if self.reading.study is None or self.form.faults or self.corrections.whyNotPossible():
            return
        if self.form.values != self._known():
            self._send("clinical", clinical=self.form.values)

    def onCategoryChosen(self, index: int) -> None:
        self._send("exam_category", category=self.ui.categoryBox.itemData(index) or None)

    # ---- the report

    def onPreview(self, _clicked=False) -> None:
        self.sendClinical()
        self._send("report", self.onReport, paper=self.ui.paperBox.currentData)

    def onReport(self, answer: dict) -> None:
        if self.preview is None:
            self.preview = ReportPreview()
        self.preview.show([Path(page) for page in answer["pages"]], Path(answer["report"]))
        self.showPossible()

    def onOpenReport(self, _clicked=False) -> None:
        openFile(self.reading.study.folder / "report.pdf")

    # ---- export

    def onFolderChanged(self, _path="") -> None:
        self.showPossible()

    def onExport(self, _clicked=False) -> None:
        """Report and findings, and the DICOM objects where the scan has a source, into the chosen folder."""
        self._export(Path(self.ui.folderEdit.currentPath.strip()), self._onExported)

    def onDatabase(self, _clicked=False) -> None:
        """The DICOM objects into Slicer's DICOM database, which keeps copies of its own."""
        folder = self._newFolder()
        self._export(folder, lambda answer: self._onForDatabase(folder, answer))

    def onOpenFolder(self, _clicked=False) -> None:
        openFile(self.exported)

    def _export(self, folder: Path, onAnswer) -> None:
        self.sendClinical()
        scan = self.reading.study.get(SCAN)
        source = self.sources.dicomFolder(scan, self._newFolder()) if scan is not None else None
        arguments = {"folder": str(folder), "dicom_source": str(source) if source else None}
        self._send("export", onAnswer, paper=self.ui.paperBox.currentData, **arguments)

    def _onExported(self, answer: dict) -> None:
        files = [Path(file) for file in answer["files"]]
        self.exported = files[0].parent if files else None
        names = ", ".join(file.name for file in files)
        self._say(self.ui.exportedLabel, _("Exported: {names}").format(names=names))
        self.showPossible()

    def _onForDatabase(self, folder: Path, answer: dict) -> None:
        from DICOMLib import DICOMUtils

        objects = sorted(file.name for file in folder.glob(DICOM_FILES))
        for file in folder.iterdir():
            if file.name not in objects:
                file.unlink()
        # True: the database keeps copies
        added = bool(objects) and DICOMUtils.importDicom(str(folder), slicer.dicomDatabase, True)
        text = (
            _("In Slicer's DICOM database: {names}")
            if added
            else _("Nothing could be added to Slicer's DICOM database")
        )
        self._say(self.ui.exportedLabel, text.format(names=", ".join(objects)))

    # ---- inside

    def _send(self, do: str, onAnswer=None, **arguments) -> None:
        with slicer.util.tryWithErrorDisplay(_("The results could not be worked on."), waitCursor=True):
            self.corrections.send(do, onAnswer, **arguments)

    def _newFolder(self) -> Path:
        """Empty, and removed with the panel."""
        self._folders.append(Path(tempfile.mkdtemp(prefix="LungNoduleCAD-", dir=slicer.app.temporaryPath)))
        return self._folders[-1]

    def _say(self, label, text: str) -> None:
        """An empty label takes no room."""
        label.text = text
        label.visible = bool(text)

    def _whyNoDicom(self) -> str:
        """Why no DICOM objects can be made of the study; empty where they can."""
        scan = self.reading.study.get(SCAN)
        if scan is not None and self.sources.hasDicom(scan):
            return ""
        return _(
            "Only PDF and JSON can be exported: the DICOM files of this scan are not known here, "
            "and a DICOM object must name the images that it was made of."
        )

    def _known(self) -> dict:
        """What the study says of the patient: what a clinician said, else the header of the analyzed series."""
        findings = self.reading.study.findings
        said, series = findings["clinical"] or {}, findings["series"]
        known = {**dict.fromkeys(FACTS), **said}
        for name, value in (("age_years", series["age_years"]), ("sex", (series["sex"] or "")[:1].upper() or None)):
            known[name] = known[name] if known[name] is not None else value
        return known

    def _filled(self) -> dict:
        """The same, with what only the scan's own DICOM header knows."""
        known = self._known()
        scan = self.reading.study.get(SCAN)
        for name, value in self.sources.patientFacts(scan).items() if scan is not None else ():
            known[name] = known[name] if known[name] is not None else value
        return known


def categoryText(exam: dict | None) -> str:
    """``Lung-RADS 4AS: suspicious``."""
    if exam is None:
        return _("Lung-RADS was not assessed")
    category, suffix = exam["category"], "S" if exam["modifier_s"] else ""
    meaning = {
        "0": _("incomplete"),
        "1": _("negative"),
        "2": _("benign appearance or behavior"),
        "3": _("probably benign"),
        "4A": _("suspicious"),
        "4B": _("very suspicious"),
        "4X": _("very suspicious, additional features"),
    }[category]
    return _("Lung-RADS {category}: {meaning}").format(category=category + suffix, meaning=meaning)
