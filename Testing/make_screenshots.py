"""The README's pictures from a demo's results: ``python Testing/make_screenshots.py DEMO_OUT`` (needs pypdfium2)."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import matplotlib
import pypdfium2
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from LungNoduleCADLib.cli.demo import rows_table  # noqa: E402

PICTURES = ROOT / "Resources" / "Screenshots"
PAGES = {"report.png": 0, "nodule.png": 2}


def main(out: Path) -> int:
    """Two pages of the report and the demo's table as PNG; the table's figures go to Testing/Benchmarks/demo.json."""
    PICTURES.mkdir(exist_ok=True)
    report = pypdfium2.PdfDocument(out / "report.pdf")
    for name, page in PAGES.items():
        report[page].render(scale=1.4).to_pil().save(PICTURES / name, optimize=True)
    shutil.copyfile(out / "demo.json", ROOT / "Testing" / "Benchmarks" / "demo.json")
    console = Console(record=True, width=110, file=io.StringIO())
    console.print(rows_table(json.loads((out / "demo.json").read_text(encoding="utf-8"))))
    _text_picture(console.export_text()).save(PICTURES / "demo.png", optimize=True)
    return 0


def _text_picture(text: str) -> Image.Image:
    """Light text on dark, as a terminal shows it, in the monospaced font that matplotlib brings."""
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf", 15)
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=font, spacing=0)
    picture = Image.new("RGB", (int(box[2]) + 24, int(box[3]) + 24), (30, 30, 34))
    ImageDraw.Draw(picture).multiline_text((12, 12), text, font=font, fill=(225, 225, 225), spacing=0)
    return picture


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
