"""One card a nodule: key images, measurements, estimates, the guideline row that applied, and the comparison."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from reportlab.lib.colors import HexColor
from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, Flowable, Image, KeepTogether, Spacer, Table

from LungNoduleCADLib.domain.comparison import NoduleSeries, TimePoint
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule
from LungNoduleCADLib.followup.series import series_of
from LungNoduleCADLib.report import words
from LungNoduleCADLib.report.pdf_style import BAR, BODY, BULLET, CATEGORY_COLOR, LINE, NOTE, table_style, text

CARD_START = 60 * mm
LEAST_VIEWS = 0.6  # of their width, to which a long card may shrink its key images


def picture(path: Path, width: float) -> Image | None:
    """An image scaled to a width, if the file is there."""
    if not path.is_file():
        return None
    image = Image(BytesIO(as_jpeg(path)))
    image.drawWidth, image.drawHeight = width, width * image.imageHeight / image.imageWidth
    return image


def as_jpeg(path: Path) -> bytes:
    """A picture as JPEG of the best quality, which a PDF takes as it is: CT noise hardly shrinks otherwise.

    Remembered until the file changes.
    """
    return _as_jpeg(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _as_jpeg(path: Path, _changed_ns: int) -> bytes:
    from PIL import Image as Picture

    jpeg = BytesIO()
    with Picture.open(path) as picture:
        picture.convert("RGB").save(jpeg, "JPEG", quality=95, subsampling=0)
    return jpeg.getvalue()


def nodule_card(
    nodule: Nodule, findings: StudyFindings, images: Path, width: float, height: float
) -> Iterator[Flowable]:
    """The card; it starts on a new page rather than being torn apart.

    Where it is a little longer than a page (``height`` in points), its key images are drawn smaller; where it is much
    longer, what goes on overleaf names the nodule again.
    """
    series = series_of(findings, nodule.id)
    parts: list[Flowable] = [Spacer(1, 4 * mm), _bar(nodule, width), Spacer(1, 1 * mm)]
    views = picture(images / f"{nodule.id}.png", width)
    if views:
        drawn = f"Lung window (−600/1500 HU). Yellow: outline; blue: long and short axis. {words.heat_map(nodule)}."
        parts += [views, text(drawn, NOTE)]
    else:
        parts.append(text("Key images are not available.", NOTE))
    parts += [Spacer(1, 1 * mm), _facts(nodule, findings, width)]
    change = _change(nodule, series, images, width)
    yield CondPageBreak(CARD_START)
    if _fits(parts + change, views, width, height) or not change:
        yield KeepTogether(parts + change)
    else:
        yield KeepTogether(parts)
        yield KeepTogether([Spacer(1, 2 * mm), _bar(nodule, width, ", compared with the prior CT"), *change])


def _fits(parts: list[Flowable], views: Image | None, width: float, height: float) -> bool:
    """Whether the parts go on a page of their own, with smaller views if need be: those are made so."""
    heights = (part.wrap(width, height)[1] + part.getSpaceBefore() + part.getSpaceAfter() for part in parts)
    over = sum(heights) - height
    if over <= 0 or views is None:
        return over <= 0
    scale = 1 - over / views.drawHeight
    if scale < LEAST_VIEWS:
        return False
    views.drawWidth, views.drawHeight = views.drawWidth * scale, views.drawHeight * scale
    return True


def _bar(nodule: Nodule, width: float, more: str = "") -> Table:
    color = CATEGORY_COLOR[nodule.lung_rads.category] if nodule.lung_rads else HexColor("#4a5560")
    bar = Table([[text(words.title(nodule) + more, BAR)]], [width])
    bar.setStyle(
        table_style(
            ("BACKGROUND", (0, 0), (-1, -1), color),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        )
    )
    return bar


def _facts(nodule: Nodule, findings: StudyFindings, width: float) -> Table:
    rows: list[tuple[str, str | list[Flowable]]] = [("Lung-RADS", _lung_rads(nodule)), *words.card(nodule, findings)]
    if doubts := words.doubts(nodule, findings):
        rows.append(("Please check", [text(message, BULLET, bulletText="•") for message in doubts]))
    cells = [[text("", label=label), text(value) if isinstance(value, str) else value] for label, value in rows]
    table = Table(cells, [width * 0.17, width * 0.83])
    table.setStyle(
        table_style(
            ("LINEBELOW", (0, 0), (-1, -1), 0.3, LINE),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 1.6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.4),
        )
    )
    return table


def _lung_rads(nodule: Nodule) -> list[Flowable]:
    assessment = nodule.lung_rads
    if assessment is None:
        return [text("not assessed: nothing was measured")]
    lines: list[Flowable] = [
        text(
            f"{assessment.reason}. Rule {assessment.rule_id}, {assessment.source}.",
            label=f"{words.category(assessment)}:",
        ),
        text(assessment.management, BODY),
    ]
    return lines + [text(note, BULLET, bulletText="•") for note in assessment.notes]


def _change(nodule: Nodule, series: NoduleSeries | None, images: Path, width: float) -> list[Flowable]:
    """Prior and current cut beside the growth plot, where there is a pair."""
    pair = picture(images / f"{nodule.id}_prior.png", width * 0.50)
    plot = _growth_plot(series, width * 0.36)
    if pair is None and plot is None:
        return []
    table = Table([[pair or [], plot or []]], [width * 0.58, width * 0.42])
    table.setStyle(table_style(("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (-1, -1), 0)))
    return [Spacer(1, 1.5 * mm), table]


def _growth_plot(series: NoduleSeries | None, width: float) -> Image | None:
    """Volumes of all exams; nothing where fewer than two show the nodule."""
    points = [point for point in series.points if point.volume_mm3 is not None] if series else []
    if len(points) < 2:
        return None
    image = Image(BytesIO(_drawn_growth(tuple(points))))
    image.drawWidth, image.drawHeight = width, width * image.imageHeight / image.imageWidth
    return image


@lru_cache(maxsize=64)
def _drawn_growth(points: tuple[TimePoint, ...]) -> bytes:
    from LungNoduleCADLib.report.figures import save_growth

    drawing = BytesIO()
    save_growth(points, drawing)
    return drawing.getvalue()
