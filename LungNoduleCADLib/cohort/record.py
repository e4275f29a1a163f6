"""What a finished scan was made from, so that the next run knows whether it still holds."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from LungNoduleCADLib import __version__
from LungNoduleCADLib.bundles.registry import list_bundles
from LungNoduleCADLib.cohort.scans import Scan
from LungNoduleCADLib.json_file import read_json
from LungNoduleCADLib.report.folder import exchange, is_result

FILE_NAME = "batch.json"


def fingerprint(scan: Scan, options: tuple[str, ...]) -> str:
    """A digest of all that decides the result: files (name, size, time), software, models, options.

    Nothing is read but the names, sizes and times of the files.
    """
    told = {
        "software": __version__,
        "models": [
            (bundle.name, bundle.metadata.get("version"), bundle.metadata.get("weights_sha256"))
            for bundle in list_bundles()
        ],
        "options": options,
        "scan": list(_stats(scan.source, scan.files)),
        "priors": [list(_stats(prior, ())) for prior in scan.priors],
        "clinical": list(_stats(scan.clinical, ())) if scan.clinical else None,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _stats(source: Path, files: tuple[Path, ...]) -> Iterator[tuple[str, int, int]]:
    base = source if source.is_dir() else source.parent
    for path in sorted(files or _below(source)):
        if path.is_file():
            about = path.stat()
            yield os.path.relpath(path, base), about.st_size, about.st_mtime_ns


def _below(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    return [Path(where) / name for where, _, names in os.walk(source) for name in names]


def write_record(out: Path, content: dict[str, Any]) -> None:
    """Into a results folder, in one step."""
    told = json.dumps(content, indent=2) + "\n"
    exchange(out / FILE_NAME, lambda path: path.write_text(told, encoding="utf-8"))


def read_record(out: Path) -> dict[str, Any] | None:
    """The record of a results folder; ``None`` where the folder is not a whole result of a batch."""
    if not is_result(out):
        return None
    try:
        record = read_json(out / FILE_NAME)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None
