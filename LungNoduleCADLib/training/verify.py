"""``bundles verify``: is a bundle whole, and does it say the truth about itself?"""

from __future__ import annotations

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import checked_file
from LungNoduleCADLib.errors import LungNoduleCADError
from LungNoduleCADLib.json_file import read_json
from LungNoduleCADLib.training.card import CARD, EVALUATION, card_is_current

METADATA_KEYS = {"version", "task", "status", "authors", "license", "data_license", "intended_use", "weights_sha256"}
RECIPE_KEYS = {"data", "folds", "seed"}
MOST_WEIGHTS_BYTES = 25 * 2**20


def verify_bundle(bundle: Bundle) -> list[str]:
    """What is wrong with a bundle, in words; empty if nothing is."""
    try:
        problems = _descriptions(bundle)
        return problems if problems or not bundle.trained else _weights(bundle)
    except LungNoduleCADError as error:
        return [str(error)]
    except (LookupError, ArithmeticError, ValueError, TypeError, AttributeError) as error:
        return [f"a description is not as it should be: {type(error).__name__} {error}"]


def _descriptions(bundle: Bundle) -> list[str]:
    problems = [f"metadata.json lacks {key}" for key in sorted(METADATA_KEYS - set(bundle.metadata))]
    problems += [f"train.json lacks {key}" for key in sorted(RECIPE_KEYS - set(bundle.train))]
    if not (bundle.path / CARD).is_file():
        problems.append("there is no card")
    return problems


def _weights(bundle: Bundle) -> list[str]:
    problems = []
    for relative in bundle.weight_files:
        if checked_file(bundle, relative).stat().st_size > MOST_WEIGHTS_BYTES:
            problems.append(f"{relative} is larger than 25 MB")
    if not (bundle.path / EVALUATION).is_file():
        return [*problems, "there is no evaluation.json"]
    evaluation = read_json(bundle.path / EVALUATION)
    if evaluation["weights_sha256"] != bundle.weight_files:
        problems.append("evaluation.json is of other weights")
    if not card_is_current(bundle.path):
        problems.append("the card's figures are not those of evaluation.json")
    return [*problems, *_forward_pass(bundle)]


def _forward_pass(bundle: Bundle) -> list[str]:
    """Whether the weights fit the network and give finite numbers."""
    import torch

    if "inputs" in bundle.inference:
        from LungNoduleCADLib.classification.fusion import MetaClassifier

        probability = MetaClassifier.from_bundle(bundle).probability({})
        return [] if 0.0 <= probability <= 1.0 else ["the classifier gives no probability"]
    from LungNoduleCADLib.bundles.weights import load_members

    networks = load_members(bundle, "cpu")
    channels = bundle.inference["arguments"].get("in_channels", 1)
    size = bundle.inference["patch"]["size"]
    with torch.inference_mode():
        answers = [network(torch.zeros(1, channels, size, size, size)) for network in networks]
    tensors = [t for one in answers for t in (one.values() if isinstance(one, dict) else [one])]
    return [] if all(bool(t.isfinite().all()) for t in tensors) else ["the network gives numbers that are not finite"]
