"""A reader's facts as JSON, from a file or standard input, checked by a schema of Resources/."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.json_file import parse_json, read_json


def source_name(source: str) -> str:
    """What a file argument is called in messages; ``-`` is standard input."""
    return "standard input" if source == "-" else source


def read_facts(source: str, schema: str) -> dict[str, Any]:
    """The facts as they are; InputError: not JSON, an unknown field, or a value of the wrong kind."""
    from LungNoduleCADLib.cli.work import checked_facts

    name = source_name(source)
    try:
        told = parse_json(sys.stdin.read()) if source == "-" else read_json(Path(source))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{name} cannot be read as facts", expected="JSON", got=str(error), todo=f"see Resources/{schema}"
        ) from error
    return checked_facts(told, name, schema)


def print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))
