"""Python packages that the analysis needs: looked up quietly, explained, installed only when the reader says so."""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

import slicer
import slicer.packaging
from slicer.i18n import tr as _

REQUESTER = "LungNoduleCAD"
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

        Raises RuntimeError where the PyTorch extension is missing or the reader declines, CalledProcessError where pip
        fails.
        """
        missing = self.missing()
        if slicer.app.testingEnabled():
            return
        torch = [requirement for requirement in missing if packageName(requirement) == "torch"]
        if torch:
            self._installTorch(torch[0].removeprefix("torch"))
        others = [requirement for requirement in missing if requirement not in torch]
        if others:
            slicer.packaging.pip_ensure(others, constraints=self._constraints(), requester=REQUESTER)

    def remark(self) -> str:
        """What the analysis has to do without; empty where it has everything."""
        if importlib.util.find_spec("radiomics") is None:
            return _(
                "Without the SlicerRadiomics extension the malignancy estimate does without its radiomics part. "
                "Install it in the Extensions Manager to have it."
            )
        return ""

    def _installTorch(self, version: str) -> None:
        reason = whyNoTorch()
        if reason:
            raise RuntimeError(reason)
        import PyTorchUtils

        if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=version) is None:
            raise RuntimeError(_("PyTorch was not installed."))

    def _constraints(self) -> Path:
        """A pip constraints file that keeps what is there as it is."""
        installed = {dist.metadata["Name"].lower(): dist.version for dist in importlib.metadata.distributions()}
        lines = [f"{name}=={installed[name.lower()]}\n" for name in KEPT if name.lower() in installed]
        file = Path(slicer.app.temporaryPath) / "LungNoduleCAD-constraints.txt"
        file.write_text("".join(lines), encoding="utf-8")
        return file


def packageName(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0]


def whyNoTorch() -> str:
    """Why torch cannot be installed by the button; empty where it can."""
    if importlib.util.find_spec("PyTorchUtils") is not None:
        return ""
    return _(
        "PyTorch comes through the PyTorch extension, which takes the build for this computer's graphics card. "
        "Install that extension in the Extensions Manager, restart Slicer and come back."
    )


def explain(missing: list[str]) -> str:
    """Which packages are missing, what each is for, and what the button will do."""
    purposes = {
        _("neural networks"): ("torch", "monai", "safetensors"),
        _("reading and writing DICOM"): (
            "pydicom", "highdicom", "pyjpegls", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg",
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
    torch = whyNoTorch() if any(packageName(requirement) == "torch" for requirement in missing) else ""
    button = torch or _(
        "The button downloads them from the Python package index into Slicer, and asks before it does. "
        "What Slicer brings along stays as it is, and no data leaves this computer."
    )
    return f"{text}\n{button}"
