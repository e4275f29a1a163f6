"""Changes of a file's bytes or of its JSON, made from a generator of random numbers alone."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, -1e308, 10**400, 0.1, "", " ", "x" * 10000, "1e400", "\u0000", "\ud7ff", "../..",
    [], {}, [[]], [None], {"": 0}, [0.0, 0.0, 0.0], "2024-13-45", "N1", -0.0,
)  # fmt: skip
JSON_AS_BYTES = 0.15
MOST_JSON = 50_000  # bytes; larger files are changed as bytes
NESTED_TOO_DEEPLY = b"[" * 100_000


def mutated(file: Path, rng: random.Random) -> bytes:
    """The content of a file, changed."""
    content = file.read_bytes()
    as_json = file.suffix == ".json" and len(content) < MOST_JSON and rng.random() >= JSON_AS_BYTES
    return mutated_json(content, rng) if as_json else mutated_bytes(content, rng)


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """One to four changes: bits, integers, pieces cut, doubled, moved or filled."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if not data:
            return bytes(data)
        at = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(min(len(data), 1200))
        length = rng.choice((1, 2, 4, 8, 64, 512))
        kind = rng.randrange(7)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            size = rng.choice((2, 4))
            data[at : at + size] = (rng.choice(NUMBERS) & (256**size - 1)).to_bytes(size, "little")
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length]
        elif kind == 4:
            piece = rng.randrange(len(data))
            data[at : at + length] = data[piece : piece + length]
        elif kind == 5:
            data[at : at + length] = bytes([rng.randrange(256)]) * length
        else:
            del data[at:]
    return bytes(data)


def mutated_json(content: bytes, rng: random.Random) -> bytes:
    """Values exchanged for odd ones, keys dropped, renamed or added, lists doubled."""
    if rng.random() < 0.02:
        return NESTED_TOO_DEEPLY
    document = json.loads(content)
    for _ in range(rng.randint(1, 3)):
        found = places(document)
        if not found:
            break
        parent, key = rng.choice(found)
        kind = rng.randrange(6)
        if kind <= 2:
            parent[key] = deepcopy(rng.choice(ODD_VALUES))
        elif kind == 3:
            del parent[key]
        elif kind == 4 and isinstance(parent, dict):
            parent[rng.choice(("id", "extra", "", str(key).upper()))] = parent.pop(key)
        elif isinstance(parent, list):
            parent.extend(deepcopy(parent * rng.choice((1, 3))))
        else:
            other, other_key = rng.choice(found)
            parent[key] = deepcopy(other[other_key])
    return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def places(node: Any) -> list[tuple[Any, Any]]:
    """(container, key or index) of every value inside of a JSON value."""
    found = []
    waiting = [node]
    while waiting:
        node = waiting.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            found.append((node, key))
            if isinstance(value, (dict, list)):
                waiting.append(value)
    return found
