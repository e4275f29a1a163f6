"""``risk [FILE]``: what published risk models say of a nodule, from a reader's facts as JSON."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from LungNoduleCADLib.cli.facts import print_json, read_facts, source_name
from LungNoduleCADLib.errors import InputError

if TYPE_CHECKING:
    from LungNoduleCADLib.guidelines.risk import RiskFacts

SCHEMA = "risk.schema.json"
NAMES = ("brock-2a", "brock-2b", "mayo", "va", "herder")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "risk",
        help="what published risk models say of a nodule, from a reader's facts",
        description="Take facts of a nodule and its patient (JSON, Resources/risk.schema.json) and print as JSON what "
        "each model says: a probability; a range, where questions with few answers were left open; or the reason why "
        "it says nothing.",
    )
    parser.add_argument("facts", metavar="FILE", nargs="?", default="-", help="JSON file; - or none: standard input")
    parser.add_argument("--model", choices=NAMES, action="append", help="only this one; may be repeated")
    parser.add_argument("--list", action="store_true", help="the models with their inputs and sources, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, also where no model has anything to say."""
    from LungNoduleCADLib import RESEARCH_USE_ONLY
    from LungNoduleCADLib.guidelines.risk import estimate_risks
    from LungNoduleCADLib.guidelines.risk_models import MODELS

    wanted = arguments.model or NAMES
    models = [model for name, model in zip(NAMES, MODELS, strict=True) if name in wanted]
    if arguments.list:
        keys = ("name", "version", "source", "made_for", "needs", "asks")
        print_json({"models": [{key: getattr(model, key) for key in keys} for model in models]})
        return 0
    estimates = estimate_risks(_read(arguments.facts), models)
    print_json({"estimates": [asdict(estimate) for estimate in estimates], "research_use_only": RESEARCH_USE_ONLY})
    return 0


def _read(source: str) -> RiskFacts:
    """InputError: not JSON, an unknown field, a value of the wrong kind, or facts that contradict each other."""
    from LungNoduleCADLib.domain.nodule import NoduleType
    from LungNoduleCADLib.guidelines.risk import RiskFacts
    from LungNoduleCADLib.guidelines.risk_models import CancerHistory, PetUptake, Smoking

    kinds = {
        "smoking_status": Smoking,
        "cancer_history": CancerHistory,
        "type": NoduleType,
        "pet_uptake": PetUptake,
    }
    facts = {
        key: kinds[key](value) if key in kinds and value is not None else value
        for key, value in read_facts(source, SCHEMA).items()
    }
    if facts.get("years_since_quit") and facts.get("smoking_status") in (Smoking.NEVER, Smoking.CURRENT):
        raise InputError(
            f"{source_name(source)} contradicts itself",
            expected="years_since_quit of a former smoker only",
            got=f"smoking_status {facts['smoking_status']}, years_since_quit {facts['years_since_quit']:g}",
        )
    return RiskFacts(**facts)
