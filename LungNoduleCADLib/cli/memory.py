"""Large arrays are made and thrown away all along an analysis: keep their memory instead of fetching it anew."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process use freed memory again before it asks the kernel for more (GNU C library; elsewhere: nothing).

    Memory from the kernel comes in pages that are cleared one by one at first touch.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _NEVER)
