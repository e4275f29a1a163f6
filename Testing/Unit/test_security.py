"""What the product never does with what others give it: read from the sources, so that no path is overlooked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from LungNoduleCADLib.backends.remote import REMOTES

ROOT = Path(__file__).resolve().parents[2]
PICKLE = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
XML_READERS = {"xml.etree", "xml.dom", "xml.sax", "xml.parsers", "lxml"}
XML_PLACE = "LungNoduleCADLib/training/xml_file.py"
DOWNLOAD_PLACE = "LungNoduleCADLib/backends/download.py"
DOWNLOADS = r"(urlopen|urlretrieve|load_state_dict_from_url|hf_hub_download|snapshot_download|download_url|hub\.load)$"
ARCHIVES = r"(extractall|extract|unpack_archive)$"
SHELLS = r"^(os\.(system|popen|exec\w+|spawn\w+)|subprocess\.(getoutput|getstatusoutput)|pty\.spawn)$"
HEX_DIGITS = {"sha256": 64, "md5": 32}


def product_files() -> list[Path]:
    return sorted(file for folder in ("LungNoduleCADLib", "LungNoduleCAD") for file in (ROOT / folder).rglob("*.py"))


def dangers(source: str, place: str) -> Iterator[str]:
    """``line: what`` for everything in a file that lets others' data run, grow without bound, or come unverified."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found = _import_danger(node, place)
        elif isinstance(node, ast.Call):
            found = _call_danger(node, place)
        else:
            continue
        if found:
            yield f"{node.lineno}: {found}"


def _import_danger(node: ast.Import | ast.ImportFrom, place: str) -> str:
    start = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    for name in (f"{start}{alias.name}" for alias in node.names):
        if name.partition(".")[0] in PICKLE:
            return f"imports {name}"
        parses = any(name == reader or name.startswith(f"{reader}.") for reader in XML_READERS)
        types_only = name in {"xml.etree.ElementTree", "xml.sax.saxutils.escape"}  # calls of the former are looked at
        if parses and not types_only and place != XML_PLACE:
            return f"reads XML with {name}, not through {XML_PLACE}"
    return ""


def _call_danger(call: ast.Call, place: str) -> str:
    name = ast.unparse(call.func)
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    last = name.rpartition(".")[2]
    wrong = {
        "runs text as code": name in {"eval", "exec", "compile", "__import__"},
        "reads through pickle": (name == "torch.load" and options.get("weights_only") != "True")
        or (name in {"np.load", "numpy.load"} and options.get("allow_pickle", "False") != "False")
        or last == "read_pickle"
        or name == "torch.jit.load",
        "reads YAML that may hold objects": bool(re.search(r"yaml\.(unsafe_|full_)?load(_all)?$", name)),
        "runs a shell": options.get("shell", "False") != "False" or bool(re.search(SHELLS, name)),
        "unpacks an archive without a filter": bool(re.search(ARCHIVES, name)) and options.get("filter") != "'data'",
        "parses XML that may hold entities": bool(re.search(r"(^|\.)(ElementTree|ET)\.(parse|fromstring|XML)", name))
        and place != XML_PLACE,
        "downloads without a digest": bool(re.search(DOWNLOADS, name)) and place != DOWNLOAD_PLACE,
        "trusts any server": options.get("verify") == "False" or last == "_create_unverified_context",
        "makes a name that others can foresee": name == "tempfile.mktemp",
    }
    return next((f"{what} ({name})" for what, is_so in wrong.items() if is_so), "")


def test_nothing_in_the_product_runs_or_trusts_what_others_give_it() -> None:
    files = product_files()
    wrong = []
    for file in files:
        place = file.relative_to(ROOT).as_posix()
        wrong += [f"{place}:{danger}" for danger in dangers(file.read_text(encoding="utf-8"), place)]

    assert len(files) > 150
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "torch.jit.load(file)",
        "np.load(file, allow_pickle=True)",
        "yaml.load(text)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "exec(text)",
        "archive.extractall(folder)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "from xml.dom import minidom",
        "ElementTree.parse(file)",
        "urllib.request.urlopen(address)",
        "torch.hub.load_state_dict_from_url(address)",
        "requests.get(address, verify=False)",
    ],
)
def test_each_danger_would_be_found(line: str) -> None:
    assert len(list(dangers(f"def f():\n    {line}", "LungNoduleCADLib/x.py"))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "network.eval()",
        "torch.load(file, weights_only=True)",
        "np.load(file)",
        "yaml.safe_load(text)",
        "archive.extractall(folder, filter='data')",
        "subprocess.run(['a', 'b'])",
        "re.compile('a')",
    ],
)
def test_what_is_safe_is_not_called_a_danger(line: str) -> None:
    assert list(dangers(line, "LungNoduleCADLib/x.py")) == []


def test_everything_that_can_be_fetched_comes_over_https_and_with_a_digest() -> None:
    files = [file for remote in REMOTES for file in remote.files]

    assert files
    for file in files:
        algorithm, _, digest = file.digest.partition(":")
        assert file.address.startswith("https://")
        assert re.fullmatch(rf"[0-9a-f]{{{HEX_DIGITS[algorithm]}}}", digest)
        assert not Path(file.path).is_absolute()
        assert ".." not in Path(file.path).parts
