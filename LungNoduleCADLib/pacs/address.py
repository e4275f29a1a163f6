"""Where a PACS is, and what it has: an address as a person writes it, and the series that it lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from LungNoduleCADLib.errors import UsageError

CALLING = "LUNGNODULECAD"
_AE_TITLE = r"[^\s\\@:]{1,16}"


@dataclass(frozen=True)
class Node:
    """A DICOM application entity; ``calling`` is what we call ourselves."""

    title: str
    host: str
    port: int
    calling: str = CALLING

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


@dataclass(frozen=True)
class Web:
    """The root of a DICOMweb service; user and password are taken from ``.netrc``."""

    url: str

    def __str__(self) -> str:
        return self.url


Address = Node | Web


def parse_address(words: str, calling: str = CALLING) -> Address:
    """``TITLE@HOST:PORT`` or ``https://HOST/PATH``.

    Raises
    ------
    UsageError : neither of them, or an application entity title that DICOM does not allow.
    """
    if re.fullmatch(r"https?://[^\s@]+", words):
        return Web(words.rstrip("/"))
    found = re.fullmatch(rf"({_AE_TITLE})@([^\s@:]+|\[[0-9a-fA-F:]+\]):([0-9]{{1,5}})", words)
    if found is None or not 0 < int(found[3]) < 65536 or not re.fullmatch(_AE_TITLE, calling):
        raise UsageError(
            "That is no address of a PACS",
            expected="TITLE@HOST:PORT (DICOM) or https://HOST/PATH (DICOMweb, user and password in .netrc)",
            got=f"{words!r}" + ("" if found is None else f" as {calling!r}"),
        )
    return Node(found[1], found[2].strip("[]"), int(found[3]), calling)


@dataclass(frozen=True)
class RemoteSeries:
    """A CT series that a PACS lists; ``instances`` 0 where it does not say how many there are."""

    study_uid: str
    series_uid: str
    study_date: date | None
    study_description: str = ""
    series_description: str = ""
    body_part: str = ""
    instances: int = 0


def as_date(value: str) -> date | None:
    """A DICOM date; ``None`` where there is none."""
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
