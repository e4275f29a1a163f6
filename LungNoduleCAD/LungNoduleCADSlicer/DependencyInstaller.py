"""Python packages that the analysis needs: looked up quietly, explained, installed only when the reader says so."""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

import slicer
import slicer.packaging
from slicer.i18n import tr as _

REQUESTER = "LungNoduleCAD"
PYTORCH, RADIOMICS = "PyTorch", "SlicerRadiomics"  # extensions of Slicer's catalog
PYTORCH_MODULE = "PyTorchUtils"
# Slicer's own, or another extension's: never replaced
KEPT = ("numpy", "scipy", "SimpleITK", "pydicom", "highdicom", "pillow", "torch")


class DependencyInstaller:
    """Reads Resources/requirements.txt beside the library, the project's one list. Imports none of the packages."""

    def __init__(self) -> None:
        import LungNoduleCADLib

        self._file = Path(LungNoduleCADLib.__file__).resolve().parents[1] / "Resources" / "requirements.txt"

    def missing(self) -> list[str]:
        """Requirements that are not met, as in requirements.txt."""
        requirements = slicer.packaging.load_requirements(self._file)
        return [str(requirement) for requirement in requirements if not slicer.packaging.pip_check(requirement)]

    def install(self) -> None:
        """Ask, then install what is missing; torch first, through the PyTorch extension. Nothing in testing mode.

        Where that extension is missing too, it is installed instead, and Slicer restarts. Raises RuntimeError where the
        reader declines or an extension cannot be had, CalledProcessError where pip fails.
        """
        missing = self.missing()
        if slicer.app.testingEnabled():
            return
        torch = [requirement for requirement in missing if packageName(requirement) == "torch"]
        if torch and not hasModule(PYTORCH_MODULE):
            self.installExtension(PYTORCH)
            return
        if torch:
            self._installTorch(torch[0].removeprefix("torch"))
        others = [requirement for requirement in missing if requirement not in torch]
        if others:
            slicer.packaging.pip_ensure(others, constraints=self._constraints(), requester=REQUESTER)

    def installExtension(self, name: str) -> None:
        """By the Extensions Manager, which asks and restarts Slicer. Raises RuntimeError where it cannot be had."""
        if not slicer.app.extensionsManagerModel().installExtensionFromServer(name):
            raise RuntimeError(
                _("The extension {name} was not installed; try the Extensions Manager").format(name=name)
            )

    def remark(self) -> str:
        """What the analysis has to do without; empty where it has everything."""
        if hasModule("radiomics"):
            return ""
        return _("Without the extension {name} the malignancy estimate lacks its radiomics part").format(name=RADIOMICS)

    def _installTorch(self, version: str) -> None:
        import PyTorchUtils

        if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=version) is None:
            raise RuntimeError(_("PyTorch was not installed"))

    def _constraints(self) -> Path:
        """A pip constraints file that keeps what is there as it is."""
        installed = {dist.metadata["Name"].lower(): dist.version for dist in importlib.metadata.distributions()}
        lines = [f"{name}=={installed[name.lower()]}\n" for name in KEPT if name.lower() in installed]
        file = Path(slicer.app.temporaryPath) / "LungNoduleCAD-constraints.txt"
        file.write_text("".join(lines), encoding="utf-8")
        return file


def packageName(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0]


def hasModule(name: str) -> bool:
    """Whether it could be imported; it is not."""
    return importlib.util.find_spec(name) is not None


def explain(missing: list[str]) -> str:
    """Which packages are missing, what each is for, and what the button will do."""
    purposes = {
        _("neural networks"): ("torch", "monai", "safetensors"),
        _("reading and writing DICOM"): (
            "pydicom", "highdicom", "imagecodecs", "pylibjpeg", "pylibjpeg-openjpeg",
        ),
        _("malignancy estimate"): ("scikit-learn", "xgboost-cpu", "xgboost"),
        _("report and figures"): ("reportlab", "matplotlib", "contourpy", "pillow"),
    }  # fmt: skip
    names = [packageName(requirement) for requirement in missing]
    lines = []
    for purpose, packages in purposes.items():
        here = [name for name in names if name in packages]
        lines += [_("{purpose}: {names}").format(purpose=purpose, names=", ".join(here))] if here else []
        names = [name for name in names if name not in here]
    lines += [_("images, results and progress: {names}").format(names=", ".join(names))] if names else []
    text = _("The analysis needs Python packages that Slicer does not have yet:") + "".join(f"\n• {x}" for x in lines)
    if "torch" in map(packageName, missing) and not hasModule(PYTORCH_MODULE):
        button = _(
            "PyTorch comes through Slicer's PyTorch extension, which takes the build for the graphics card here; "
            "it is missing too. The button installs it and restarts Slicer; then the button installs the packages."
        )
    else:
        button = _(
            "The button downloads them from the Python package index into Slicer, and asks before it does. "
            "What Slicer brings along stays as it is, and no data leaves this computer."
        )
    return f"{text}\n{button}"
