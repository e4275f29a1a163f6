"""``lung-rads``, ``fleischner``, ``bts``: what a guideline says of a reader's facts, as JSON."""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from LungNoduleCADLib.cli.facts import print_json, read_facts, source_name
from LungNoduleCADLib.errors import InputError

if TYPE_CHECKING:
    from LungNoduleCADLib.guidelines.lung_rads_2022 import NoduleFacts
    from LungNoduleCADLib.guidelines.scope import PatientFacts

SCHEMA = "nodule_facts.schema.json"
_VERBS = {
    "lung-rads": "Lung-RADS v2022: category of each nodule and of the exam, from a reader's facts",
    "fleischner": "Fleischner 2017 (nodules found by chance): management, from a reader's facts",
    "bts": "BTS 2015 (nodules of adults): management, from a reader's facts",
}
Told = dict[str, Any]


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    for verb, words in _VERBS.items():
        parser = subparsers.add_parser(
            verb,
            help=words,
            description=f"Take facts of nodules, their patient and exam (JSON, Resources/{SCHEMA}) and print as JSON "
            "what the guideline says of each nodule: the rule, its source and management, and what is ambiguous in it; "
            "or the reason why it says nothing.",
        )
        parser.add_argument(
            "facts", metavar="FILE", nargs="?", default="-", help="JSON file; - or none: standard input"
        )
        parser.add_argument("--rules", action="store_true", help="the rows of its table, nothing else")
        parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, also where the guideline may not be asked."""
    from LungNoduleCADLib import RESEARCH_USE_ONLY

    if arguments.rules:
        print_json({"rules": _rules(arguments.verb)})
        return 0
    told = read_facts(arguments.facts, SCHEMA)
    for number, nodule in enumerate(told["nodules"], start=1):
        nodule.setdefault("id", f"N{number}")
    said = _lung_rads if arguments.verb == "lung-rads" else _incidental
    answer = said(told, arguments.verb, source_name(arguments.facts))
    print_json({**answer, "research_use_only": RESEARCH_USE_ONLY})
    return 0


def _lung_rads(told: Told, _verb: str, name: str) -> Told:
    from LungNoduleCADLib.domain.clinical import ClinicalContext
    from LungNoduleCADLib.guidelines.lung_rads_2022 import assess_exam, assess_nodule
    from LungNoduleCADLib.guidelines.lung_rads_table import ACR, SCOPE

    patient = _patient(told)
    answer: Told = {"guideline": ACR, "exam": None, "nodules": [], "not_available": None}
    if reason := SCOPE.refusal(patient):
        return {**answer, "not_available": f"out of scope: {reason}"}
    assessed = []
    for nodule in told["nodules"]:
        facts = _nodule_facts(nodule, name)
        try:
            assessed.append((nodule["id"], assess_nodule(facts)))
        except ValueError as error:
            raise InputError(f"{name} says too little of {nodule['id']}", expected=str(error)) from error
    unstated = ", ".join(SCOPE.unstated(patient)).replace("_", " ")
    notes = (f"Not stated, and taken as within the scope of {ACR}: {unstated}.",) if unstated else ()
    exam = assess_exam(assessed, clinical=ClinicalContext(**told.get("exam", {})), notes=notes)
    nodules = [
        {"id": nodule["id"], **asdict(assessment), "not_used": _not_used(nodule, facts_type="lung-rads")}
        for nodule, (_, assessment) in zip(told["nodules"], assessed, strict=True)
    ]
    for nodule in nodules:
        del nodule["modifier_s"], nodule["decided_by"]
    return {**answer, "exam": asdict(exam), "nodules": nodules}


def _nodule_facts(told: Told, name: str) -> NoduleFacts:
    """InputError: the situation is neither stated nor told by sizes."""
    from LungNoduleCADLib.guidelines.lung_rads_2022 import NoduleFacts
    from LungNoduleCADLib.guidelines.lung_rads_facts import situation_of_sizes

    known = _structured(told, NoduleFacts)
    if told.get("situation") is None:
        compared = situation_of_sizes(known)
        if compared is None:
            raise InputError(
                f"{name} does not say whether {told['id']} was there before",
                expected="situation, or prior_mean_diameter_mm and months_since_prior beside mean_diameter_mm",
                todo=f"see Resources/{SCHEMA}",
            )
        known["situation"], known["notes"] = compared
    return NoduleFacts(**{"type": None, **known})


def _incidental(told: Told, verb: str, name: str) -> Told:
    from LungNoduleCADLib.guidelines.incidental import Facts, recommend

    guideline, patient = _guideline(verb), _patient(told)
    multiple = (told.get("nodule_count") or len(told["nodules"])) > 1
    nodules = []
    for nodule in told["nodules"]:
        try:
            facts = Facts(**{**_structured(nodule, Facts), "multiple": multiple})
            _check_situation(nodule, name)
        except ValueError as error:
            raise InputError(f"{name} is not valid at {nodule['id']}", got=str(error)) from error
        said = asdict(recommend(guideline, facts, patient))
        del said["guideline"], said["source"]
        nodules.append({"id": nodule["id"], **said, "not_used": _not_used(nodule, facts_type=verb)})
    return {"guideline": guideline.name, "source": guideline.source, "nodules": nodules}


def _check_situation(told: Told, name: str) -> None:
    """A first CT is taken for granted only where nothing speaks of an earlier one."""
    earlier = [key for key in told if key.startswith("prior_") or key in ("months_since_prior", "vdt_days")]
    if told.get("situation") is None and any(told[key] is not None for key in earlier):
        raise InputError(
            f"{name} does not say whether {told['id']} is growing or stable",
            expected="situation",
            got=", ".join(earlier),
            todo=f"see Resources/{SCHEMA}",
        )


def _guideline(verb: str) -> Any:
    from LungNoduleCADLib.guidelines.bts_2015 import BTS
    from LungNoduleCADLib.guidelines.fleischner_2017 import FLEISCHNER

    return {"fleischner": FLEISCHNER, "bts": BTS}[verb]


def _rules(verb: str) -> list[Told]:
    from LungNoduleCADLib.guidelines.lung_rads_table import ALL_RULES

    rules = ALL_RULES if verb == "lung-rads" else _guideline(verb).rules
    keys = ("id", "category", "text", "management", "source", "note")
    return [{**{key: getattr(rule, key) for key in keys}, "when": rule.condition()} for rule in rules]


def _patient(told: Told) -> PatientFacts:
    from LungNoduleCADLib.guidelines.scope import PatientFacts

    return PatientFacts(**told.get("patient", {}))


def _structured(told: Told, kind: type) -> Told:
    """The facts that this guideline asks, its words as enums; what is null is left out."""
    from LungNoduleCADLib.domain.lung_rads import Airway, Cyst, CystChange, LungRadsCategory
    from LungNoduleCADLib.domain.nodule import NoduleType
    from LungNoduleCADLib.guidelines.rules import Situation

    words: dict[str, Any] = {"type": NoduleType, "situation": Situation, "prior_category": LungRadsCategory}
    words |= {"airway": Airway, "cyst": Cyst, "cyst_change": CystChange}
    asked = {field.name for field in fields(kind)}
    return {
        name: words[name](value) if name in words else value
        for name, value in told.items()
        if name in asked and value is not None
    }


def _not_used(told: Told, facts_type: str) -> list[str]:
    """Facts that were stated and that this guideline does not ask."""
    from LungNoduleCADLib.guidelines.incidental import Facts
    from LungNoduleCADLib.guidelines.lung_rads_2022 import NoduleFacts

    asked = {field.name for field in fields(NoduleFacts if facts_type == "lung-rads" else Facts)} | {"id"}
    return [name for name, value in told.items() if value is not None and name not in asked]
