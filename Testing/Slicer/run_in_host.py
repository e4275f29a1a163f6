"""The stand-in for Slicer's launcher: ``python Testing/Slicer/run_in_host.py --testing --python-script FILE [args]``.

The same command line with ``Slicer`` in place of ``python Testing/Slicer/run_in_host.py`` runs in the application.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
MODULE = HERE.parents[1] / "LungNoduleCAD"


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--testing", action="store_true", help="no message boxes, leave when the script is through")
    parser.add_argument("--no-splash", action="store_true", help="there is none")
    parser.add_argument("--no-main-window", action="store_true")
    parser.add_argument("--exit-after-startup", action="store_true")
    parser.add_argument("--additional-module-paths", "--additional-module-path", nargs="*", type=Path, default=[])
    parser.add_argument("--python-code")
    parser.add_argument("--python-script", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def execute(source: str, file: str) -> None:
    """In a fresh ``__main__``."""
    module = ModuleType("__main__")
    module.__file__ = file
    sys.modules["__main__"] = module
    exec(compile(source, file, "exec", dont_inherit=True), vars(module))


def run(options: argparse.Namespace) -> int:
    """Code, then script; the status that they leave with."""
    from host import failures

    script = options.python_script or []
    try:
        if options.python_code:
            execute(options.python_code, "--python-code")
        if script:
            sys.argv = script
            execute(Path(script[0]).read_text(encoding="utf-8"), script[0])
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except Exception as error:
        failures.record(error)
    return 0


def main(arguments: list[str]) -> int:
    faulthandler.enable()
    options = parsed(arguments)
    sys.path[0] = str(HERE)
    from host import failures
    from host.start import startHost
    from PySide6 import QtCore

    paths = [path.resolve() for path in options.additional_module_paths or [MODULE]]
    app = startHost([sys.argv[0]], paths, options.testing, not options.no_main_window)
    statuses = []

    def inEventLoop() -> None:  # where Slicer runs scripts, too
        statuses.append(run(options))
        app.quit()

    QtCore.QTimer.singleShot(0, inEventLoop)
    app.exec()
    app.processEvents()
    status = statuses[0] if app._hStatus is None else app._hStatus
    app.moduleManager()._hUnloadAll()
    if failures.recorded and not status:
        print(f"{len(failures.recorded)} exceptions were swallowed, see above", file=sys.stderr)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # as an application does: no order of destruction between Qt, VTK and Python to get wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
