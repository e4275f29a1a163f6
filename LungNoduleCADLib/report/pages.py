"""The report's pages as pictures, for a viewer that shows no PDF."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = "pages"
DPI = 100
POINTS_PER_INCH = 72


def draw_pages(report: Path, folder: Path, dpi: int = DPI) -> list[Path]:
    """One PNG a page (``page-1.png``, …) in ``folder``, which holds nothing else afterwards."""
    import pypdfium2

    folder.mkdir(exist_ok=True)
    document = pypdfium2.PdfDocument(report)
    try:
        paths = [folder / f"page-{number}.png" for number in range(1, len(document) + 1)]
        saved = []
        # packs copies; PDFium itself must stay in one thread
        with ThreadPoolExecutor() as pool:
            for page, path in zip(document, paths, strict=True):
                bitmap = page.render(scale=dpi / POINTS_PER_INCH)
                saved.append(pool.submit(bitmap.to_pil().copy().save, path, compress_level=1))
                bitmap.close()
        for done in saved:
            done.result()
    finally:
        document.close()
    for path in folder.iterdir():
        if path not in paths:
            path.unlink()
    return paths
