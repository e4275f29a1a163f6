"""JSON from outside, read within bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST_BYTES = 256 * 2**20


def read_json(file: Path) -> Any:
    """The content of a JSON file.

    Raises
    ------
    OSError : it cannot be read.
    ValueError : larger than 256 MB, not UTF-8, not JSON, or nested too deeply.
    """
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{size} bytes, more than {MOST_BYTES}")
    return parse_json(file.read_text(encoding="utf-8"))


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ValueError : not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
