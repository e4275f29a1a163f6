"""How the PDF looks: embedded fonts, colors with enough contrast, paragraph styles, and every page's frame."""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase.pdfmetrics import getFont, registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, TableStyle

from LungNoduleCADLib import RESEARCH_USE_ONLY
from LungNoduleCADLib.domain.lung_rads import LungRadsCategory

PAPERS = {"A4": A4, "letter": LETTER}
MARGIN = 15 * mm
MOST_CODES = 6
_RIGHT_TO_LEFT = {"R", "AL", "AN"}  # of unicodedata.bidirectional: Hebrew, Arabic, …
FONT, BOLD, ITALIC = "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique"

INK, MUTED, LINE, SHADE = HexColor("#1b2430"), HexColor("#4f5b68"), HexColor("#b8c1cb"), HexColor("#eef2f6")
# White text on each of these has a contrast of 4.5:1 or more; the category is always written out as well.
CATEGORY_COLOR: dict[LungRadsCategory, Color] = {
    LungRadsCategory.C0: HexColor("#4a5560"),
    LungRadsCategory.C1: HexColor("#256b3a"),
    LungRadsCategory.C2: HexColor("#256b3a"),
    LungRadsCategory.C3: HexColor("#7d5a00"),
    LungRadsCategory.C4A: HexColor("#a84300"),
    LungRadsCategory.C4B: HexColor("#9b1c1c"),
    LungRadsCategory.C4X: HexColor("#6d1035"),
}


def _style(name: str, size: float, **keywords: Any) -> ParagraphStyle:
    settings = {
        "fontName": FONT,
        "fontSize": size,
        "leading": size * 1.32,
        "textColor": INK,
        "bulletFontName": FONT,
    } | keywords
    return ParagraphStyle(name, **settings)


TITLE = _style("title", 15, fontName=BOLD)
HEADING = _style("heading", 10.5, fontName=BOLD, spaceBefore=7, spaceAfter=3, keepWithNext=1)
# A heading that is kept with its table would keep the whole table together.
TABLE_HEADING = ParagraphStyle("table heading", parent=HEADING, keepWithNext=0)
BODY = _style("body", 8.2)
NOTE = _style("note", 7.4, textColor=MUTED)
BULLET = _style("bullet", 7.8, leftIndent=9, bulletIndent=0, bulletFontSize=7)
CELL = _style("cell", 7.2)
HEAD_CELL = _style("head cell", 6.8, fontName=BOLD)
BOX_CATEGORY = _style("box category", 30, fontName=BOLD, textColor=white, leading=33)
BOX_LABEL = _style("box label", 9, fontName=BOLD, textColor=white)
BOX_TEXT = _style("box text", 8.8, textColor=white)
BAR = _style("bar", 9.2, fontName=BOLD, textColor=white)


@cache
def register_fonts() -> None:
    """DejaVu, which matplotlib ships: covers Latin, Greek, Cyrillic and more; embedded as a subset."""
    from matplotlib import get_data_path
    from reportlab import rl_config

    rl_config.useA85 = 0  # images as bytes, not as text: a fifth smaller, and much faster to write
    folder = Path(get_data_path()) / "fonts" / "ttf"
    for name in (FONT, BOLD, ITALIC):
        registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=ITALIC, boldItalic=BOLD)


def text(value: str, style: ParagraphStyle = BODY, label: str = "", **keywords: Any) -> Paragraph:
    """A paragraph of plain text (nothing in it is taken as markup), after a bold label where one is given."""
    lead = f"<b>{escape(label)}</b> " if label else ""
    return Paragraph(lead + escape(shown(value)), style, **keywords)


def shown(value: str) -> str:
    """Text with what cannot be set told by its code points: signs that the font lacks (Chinese, Japanese, Korean, …)
    and those that are written from right to left, which would come out in the wrong order.
    """
    glyphs = getFont(FONT).face.charToGlyph

    def cannot_be_set(sign: str) -> bool:
        if unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT or unicodedata.category(sign) == "Cf":
            return True
        return ord(sign) not in glyphs and not sign.isspace()

    parts = []
    for lacking, run in groupby(unicodedata.normalize("NFC", value), key=cannot_be_set):
        signs = list(run)
        more = "…" if len(signs) > MOST_CODES else ""
        codes = " ".join(f"U+{ord(sign):04X}" for sign in signs[:MOST_CODES])
        parts.append(f"[{codes}{more}]" if lacking else "".join(signs))
    return "".join(parts)


def table_style(*commands: tuple[Any, ...]) -> TableStyle:
    """A table's style; cells get the embedded font even where they hold no text of their own."""
    return TableStyle([("FONTNAME", (0, 0), (-1, -1), FONT), ("VALIGN", (0, 0), (-1, -1), "TOP"), *commands])


class ReportCanvas(Canvas):
    """Writes the frame of each page when the number of pages is known."""

    header = ""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 (reportlab's name)
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self._frame(number, len(self._pages))
            super().showPage()
        super().save()

    def _frame(self, number: int, total: int) -> None:
        width, height = self._pagesize
        self.setStrokeColor(LINE)
        self.setLineWidth(0.5)
        self.line(MARGIN, 13 * mm, width - MARGIN, 13 * mm)
        self.setFillColor(INK)
        self.setFont(BOLD, 7)
        self.drawString(MARGIN, 9.2 * mm, RESEARCH_USE_ONLY)
        self.setFont(FONT, 7)
        self.drawRightString(width - MARGIN, 9.2 * mm, f"Page {number} of {total}")
        self.setFillColor(MUTED)
        if number > 1:
            (line, *more) = simpleSplit(self.header, FONT, 7, width - 2 * MARGIN - 10) or [""]
            self.drawString(MARGIN, height - 10 * mm, f"{line} …" if more else line)
