"""Python packages that the analysis needs: looked up quietly, installed only when the reader says so."""

import importlib.metadata
import importlib.util
from pathlib import Path

import slicer
import slicer.packaging
from slicer.i18n import tr as _

REQUESTER = "LungNoduleCAD"
# Slicer's own, or another extension's: never replaced
KEPT = ("numpy", "scipy", "SimpleITK", "pydicom", "highdicom", "pillow", "torch")


class DependencyInstaller:
    """Reads Resources/requirements.txt beside the library, the project's one list."""

    def __init__(self) -> None:
        import LungNoduleCADLib

        self._file = Path(LungNoduleCADLib.__file__).resolve().parents[1] / "Resources" / "requirements.txt"

    def missing(self) -> list[str]:
        """Requirements that are not met, as in requirements.txt."""
        requirements = slicer.packaging.load_requirements(self._file)
        return [str(requirement) for requirement in requirements if not slicer.packaging.pip_check(requirement)]

    def install(self) -> None:
        """Ask, then install what is missing; torch through the PyTorch extension, which knows the graphics card."""
        missing = self.missing()
        torch = [requirement for requirement in missing if requirement.startswith("torch")]
        if torch:
            self._installTorch(torch[0].removeprefix("torch"))
        others = [requirement for requirement in missing if requirement not in torch]
        if others:
            slicer.packaging.pip_ensure(others, constraints=self._constraints(), requester=REQUESTER)

    def remark(self) -> str:
        """What the analysis has to do without; empty where it has everything."""
        if importlib.util.find_spec("radiomics") is None:
            return _("Install the SlicerRadiomics extension for the radiomics part of the malignancy estimate.")
        return ""

    def _installTorch(self, version: str) -> None:
        try:
            import PyTorchUtils
        except ImportError as error:
            raise RuntimeError(
                _("Install the PyTorch extension by the Extensions Manager, restart Slicer, and try again.")
            ) from error
        if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=version) is None:
            raise RuntimeError(_("PyTorch was not installed."))

    def _constraints(self) -> Path:
        """A pip constraints file that keeps what is there as it is."""
        installed = {dist.metadata["Name"].lower(): dist.version for dist in importlib.metadata.distributions()}
        lines = [f"{name}=={installed[name.lower()]}\n" for name in KEPT if name.lower() in installed]
        file = Path(slicer.app.temporaryPath) / "LungNoduleCAD-constraints.txt"
        file.write_text("".join(lines), encoding="utf-8")
        return file
