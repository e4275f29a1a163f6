"""What the benchmarks ran on."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    """Its name as the system gives it, else its kind."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
