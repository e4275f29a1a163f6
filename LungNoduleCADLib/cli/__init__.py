"""The command line: one file a verb. Verbs import the heavy libraries only when they run."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import NoReturn

from LungNoduleCADLib import RESEARCH_USE_ONLY, __version__
from LungNoduleCADLib.cli.console import say_error
from LungNoduleCADLib.errors import (
    Cancelled,
    LungNoduleCADError,
    MemoryShortage,
    OutputError,
    UsageError,
    is_lack_of_memory,
    is_lack_of_room,
)

VERBS = (
    *("series", "analyse", "compare", "batch", "review", "report", "export", "send", "fetch", "demo", "phantom"),
    *("guidelines", "risk", "info", "bundles", "train", "evaluate"),
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command in one sentence, without the usage above it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message[:1].upper() + message[1:], todo=f"see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The parser with every verb."""
    parser = _Parser(
        prog="lungnodulecad",
        description="Find, measure, characterise and follow lung nodules in chest CT.",
        epilog=RESEARCH_USE_ONLY,
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        import_module(f"LungNoduleCADLib.cli.{verb}").add_parser(subparsers)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; exit code 0, or 2 usage, 3 bad input or output, 4 model, 5 PACS, 130 cancelled, 1 else."""
    parsed = argparse.Namespace()
    try:
        parsed = build_parser().parse_args(arguments)
        status = int(parsed.run(parsed) or 0)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return say_error(Cancelled(), parsed)
    except LungNoduleCADError as error:
        return say_error(error, parsed)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if is_lack_of_memory(error):
            return say_error(_memory_shortage(error), parsed)
        if is_lack_of_room(error):
            return say_error(_no_room(error), parsed)
        raise


def _no_room(error: Exception) -> OutputError:
    todo = "make room for what is printed and for temporary files (TMPDIR)"
    return OutputError("There is no room to write", got=getattr(error, "strerror", "") or "", todo=todo)


def _memory_shortage(error: Exception) -> MemoryShortage:
    if "cuda" in str(error).lower():
        return MemoryShortage("The graphics card has too little memory", todo="use --device cpu")
    todo = "close other programs, or use a computer with more of it"
    return MemoryShortage("The memory of this computer does not suffice", got=type(error).__name__, todo=todo)
