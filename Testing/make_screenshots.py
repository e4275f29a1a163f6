"""The README's pictures from a demo's results: ``python Testing/make_screenshots.py DEMO_OUT`` (needs pypdfium2)."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pypdfium2
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from LungNoduleCADLib.cli.demo import rows_table  # noqa: E402

PICTURES = ROOT / "Resources" / "Screenshots"
PAGES = {"report.png": 0, "nodule.png": 2}


def main(out: Path) -> int:
    """Two pages of the report as PNG, and the demo's table as SVG."""
    PICTURES.mkdir(exist_ok=True)
    report = pypdfium2.PdfDocument(out / "report.pdf")
    for name, page in PAGES.items():
        report[page].render(scale=1.4).to_pil().save(PICTURES / name, optimize=True)
    console = Console(record=True, width=110, file=io.StringIO())
    console.print(rows_table(json.loads((out / "demo.json").read_text(encoding="utf-8"))))
    (PICTURES / "demo.svg").write_text(console.export_svg(title="run.py demo"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
