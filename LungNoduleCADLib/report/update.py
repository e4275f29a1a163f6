"""A results folder brought up to date edit by edit, so that a stop at any moment loses nothing that was told.

An edit is made when ``findings.json`` is exchanged. Outlines are written before it, under names that say from which
edit on they hold, so an edit that was never finished changes nothing; the segmentation follows after.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import Nodule
from LungNoduleCADLib.errors import OutputError
from LungNoduleCADLib.report import findings_json
from LungNoduleCADLib.report.folder import UNFINISHED, exchange, stamp_after
from LungNoduleCADLib.report.nodule_json import saliency_name
from LungNoduleCADLib.report.outlines import newest_outlines, outline_files, outline_path, write_outline
from LungNoduleCADLib.report.segmentation import FILE_NAME as SEGMENTATION
from LungNoduleCADLib.report.segmentation import write_saliency, write_segmentation
from LungNoduleCADLib.report.write import IMAGES, OVERVIEW, PRIOR, REPORT, image_names, pairs_of


@dataclass
class ChangedFiles:
    """{nodule id: file} of outlines and heat maps that are new, and ids that came onto or went off the list."""

    masks: dict[str, Path] = field(default_factory=dict)
    saliency: dict[str, Path] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """Nodules of which a picture no longer holds."""
        return {*self.masks, *self.saliency, *self.added, *self.removed}


@dataclass(frozen=True)
class SavedEdit:
    """The document as written, what changed in the current study, and what in the prior one."""

    document: dict[str, Any]
    current: ChangedFiles
    prior: ChangedFiles


def save_edit(
    folder: Path, before: StudyFindings, after: StudyFindings, document: dict[str, Any] | None = None
) -> SavedEdit:
    """Put an edit on disk, of the current study and of the prior's nodules; pictures that no longer hold go.

    Parameters
    ----------
    document : what ``findings_json.to_json`` made of ``before``; its prior is taken over where that is the same.

    Raises
    ------
    OutputError : the folder cannot be written; it then holds what it held.
    """
    same_prior = document is not None and after.prior is not None and after.prior is before.prior
    document = findings_json.to_json(after, document["prior"] if same_prior else None)
    number = len(after.edits)
    written: list[Path] = []
    try:
        earlier = _save_images(folder / PRIOR, before.prior, after.prior, number, written)
        now = _save_images(folder, before, after, number, written)
        _tell(document, folder)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise OutputError(
            f"Results could not be written to {folder}",
            got=error.strerror or str(error),
            todo="check its disk and rights; nothing was changed",
        ) from error
    with suppress(OSError):  # the edit is made; what is left over harms nobody
        _forget_what_is_over(folder, after, number, now)
        _drop_pictures(folder / IMAGES, before, after, now, earlier)
        if after.prior is not before.prior:
            _follow_in_prior(folder / PRIOR, before, after, document["prior"], number, earlier)
    return SavedEdit(document, now, earlier)


def _follow_in_prior(
    folder: Path,
    before: StudyFindings,
    after: StudyFindings,
    document: dict[str, Any],
    number: int,
    changed: ChangedFiles,
) -> None:
    """The prior's own folder, for those who read it by itself; ``document``: the prior's part of the whole one."""
    if before.prior is None or after.prior is None or not folder.is_dir():
        return
    _tell(document, folder)
    _forget_what_is_over(folder, after.prior, number, changed)
    _drop_pictures(folder / IMAGES, before.prior, after.prior, changed, ChangedFiles())


def update_segmentation(folder: Path, findings: StudyFindings, lungs: LungMask) -> None:
    """``segmentation.seg.nrrd`` as the findings are now, exchanged in one step."""
    exchange(folder / SEGMENTATION, lambda path: write_segmentation(lungs, findings.nodules, path))
    stamp_after(folder / SEGMENTATION, folder / findings_json.FILE_NAME)


def forget_unfinished(folder: Path, edits: int) -> None:
    """Remove what was left by an edit or a report that was stopped before it was made."""
    for place in (folder, folder / PRIOR):
        for path in (*place.glob(f"{UNFINISHED}*"), *place.glob(f"*/{UNFINISHED}*")):
            path.unlink(missing_ok=True)
        for path, (_, number) in outline_files(place).items():
            if number > edits:
                path.unlink(missing_ok=True)


def _save_images(
    folder: Path, before: StudyFindings | None, after: StudyFindings | None, number: int, written: list[Path]
) -> ChangedFiles:
    """Outlines and heat maps that are other objects than before."""
    if before is None or after is None or after is before:
        return ChangedFiles()
    old, new = ({nodule.id: nodule for nodule in findings.nodules} for findings in (before, after))
    changed = ChangedFiles(added=[i for i in new if i not in old], removed=[i for i in old if i not in new])
    for nodule in after.nodules:
        was = old.get(nodule.id)
        if nodule.mask is not None and (was is None or was.mask is not nodule.mask):
            changed.masks[nodule.id] = outline_path(folder, nodule.id, number)
            written.append(changed.masks[nodule.id])
            write_outline(nodule.mask, changed.masks[nodule.id])
        if nodule.saliency is not None and (was is None or was.saliency is not nodule.saliency):
            changed.saliency[nodule.id] = folder / saliency_name(nodule.id)
            _save_saliency(nodule, changed.saliency[nodule.id])
    return changed


def _save_saliency(nodule: Nodule, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    exchange(path, lambda beside: write_saliency(nodule, beside))


def _forget_what_is_over(folder: Path, findings: StudyFindings, number: int, changed: ChangedFiles) -> None:
    listed, holding = {nodule.id for nodule in findings.nodules}, newest_outlines(folder, number)
    for path, (nodule_id, _) in outline_files(folder).items():
        if nodule_id not in listed or holding.get(nodule_id) != path:
            path.unlink(missing_ok=True)
    for nodule_id in (*changed.removed, *(nodule.id for nodule in findings.nodules if nodule.saliency is None)):
        (folder / saliency_name(nodule_id)).unlink(missing_ok=True)


def _drop_pictures(
    images: Path, before: StudyFindings, after: StudyFindings, changed: ChangedFiles, earlier: ChangedFiles
) -> None:
    was, now = pairs_of(before), pairs_of(after)
    paired_anew = {i for i in {*was, *now} if i and (was.get(i) != now.get(i) or now.get(i) in earlier.names)}
    for nodule_id in changed.names:
        (images / image_names(nodule_id)[0]).unlink(missing_ok=True)
    for nodule_id in changed.names | paired_anew:
        (images / image_names(nodule_id)[1]).unlink(missing_ok=True)
    if changed.names:
        (images / OVERVIEW).unlink(missing_ok=True)


def _tell(document: dict[str, Any], folder: Path) -> None:
    """The findings, newer than all that follows from them."""
    path = folder / findings_json.FILE_NAME
    exchange(path, lambda beside: _write_json(document, beside))
    for name in (SEGMENTATION, REPORT):
        stamp_after(path, folder / name)


def _write_json(document: dict[str, Any], path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=2, ensure_ascii=False, allow_nan=False)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
