"""Write ``Resources/sbom.cdx.json`` (CycloneDX 1.6): what LungNoduleCAD is tested with, as constraints.txt pins it.

``python Testing/update_sbom.py`` takes licences from the packages of this environment and digests from
``Resources/hashes.txt``. ``--hashes`` writes that file first: pip asks the package index and installs nothing. It has
the files that pip chooses on this computer; torch has the digest of its CPU build too, where pip can find that.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESOURCES = ROOT / "Resources"
REQUIREMENTS, CONSTRAINTS = RESOURCES / "requirements.txt", RESOURCES / "constraints.txt"
HASHES, SBOM = RESOURCES / "hashes.txt", RESOURCES / "sbom.cdx.json"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
LONGEST_LICENCE = 60  # a longer one is a whole text
READ_BY_US = {"pyradiomics-cuda": "BSD-3-Clause", "xgboost": "Apache-2.0"}  # the text alone; for macOS only
HEAD = """# SHA-256 of what constraints.txt pins, for CPython 3.11 on Linux x86_64: see SECURITY.md.
# Written by Testing/update_sbom.py --hashes; not to be edited by hand.
"""
PYPI_ONLY = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "", "PIP_EXTRA_INDEX_URL": ""}


def pins() -> dict[str, str]:
    """{name as constraints.txt writes it: version}."""
    return dict(PIN.findall(CONSTRAINTS.read_text(encoding="utf-8")))


def requirements() -> set[str]:
    """Normal names of what the product needs at run time."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return {normal(name[0]) for line in lines if (name := re.match(r"[A-Za-z0-9._-]+", line))}


def normal(name: str) -> str:
    """As the package index writes it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def digests() -> dict[str, list[str]]:
    """{normal name: SHA-256 of each file} of hashes.txt."""
    found: dict[str, list[str]] = {}
    for line in HASHES.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if pin := PIN.match(line):
            found[normal(pin[1])] = re.findall(r"--hash=sha256:([0-9a-f]{64})", line)
    return found


def licence(name: str, known: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """As the installed package says it; as the list said it before, where the package is not installed."""
    if normal(name) in READ_BY_US:
        return [{"expression": READ_BY_US[normal(name)]}]
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return known.get(normal(name), [])
    if expression := about.get("License-Expression"):
        return [{"expression": expression}]
    classified = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License ::")]
    text = (about.get("License") or "").strip()
    names = classified or ([text] if text and len(text) <= LONGEST_LICENCE and "\n" not in text else [])
    return [{"license": {"name": one}} for one in names]


def component(name: str, version: str, hashes: list[str], licences: list[dict[str, Any]]) -> dict[str, Any]:
    purl = f"pkg:pypi/{normal(name)}@{version}"
    made: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if hashes:
        made["hashes"] = [{"alg": "SHA-256", "content": digest} for digest in hashes]
    if licences:
        made["licenses"] = licences
    return made


def sbom() -> dict[str, Any]:
    before = json.loads(SBOM.read_text(encoding="utf-8"))["components"] if SBOM.is_file() else []
    known = {normal(one["name"]): one.get("licenses", []) for one in before}
    hashes = digests()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "lungnodulecad",
                "name": "lungnodulecad",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [
            component(name, version, hashes.get(normal(name), []), licence(name, known))
            for name, version in pins().items()
        ],
    }


def chosen_by_pip(settings: dict[str, str]) -> dict[str, str]:
    """{normal name: SHA-256} of the files that pip would install, with these environment variables."""
    with tempfile.TemporaryDirectory() as folder:
        report, wanted = Path(folder) / "report.json", Path(folder) / "wanted.txt"
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in pins().items()), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--no-deps"]
        command += ["--report", str(report), "-r", str(wanted)]
        subprocess.run(command, env={**os.environ, **settings}, check=True)
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {normal(i["metadata"]["name"]): i["download_info"]["archive_info"]["hashes"]["sha256"] for i in installed}


def update_hashes() -> None:
    public, here = chosen_by_pip(PYPI_ONLY), chosen_by_pip({})
    text = HEAD
    for name, version in pins().items():
        own = {public[normal(name)], here[normal(name)]} if name == "torch" else {public[normal(name)]}
        text += " \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{digest}" for digest in sorted(own))]) + "\n"
    HASHES.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    if "--hashes" in arguments:
        update_hashes()
    SBOM.write_text(json.dumps(sbom(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
