"""The heat map of a nodule: whether it is shown, and how, in its own colors with cool voxels transparent."""

from slicer.i18n import tr as _

COLORS = "vtkMRMLColorTableNodeIron"
# of a map's maximum: cooler voxels are transparent
FLOOR = 0.2


def whyNoMap(nodule: dict | None, volume) -> str:
    """Why the map of a nodule (``volume``, None: there is none) is not shown; empty where it is."""
    from LungNoduleCADLib.domain.nodule import Saliency

    if nodule is None:
        return _("No heat map: no nodule is chosen")
    estimate = nodule["malignancy"]
    if Saliency.score_is_low(estimate["probability"], estimate["encoder_probability"]):
        return _("No heat map: the malignancy score is low")
    if volume is not None:
        return "" if _top(volume) > 0 else _("No heat map: nothing in the image raises the malignancy score")
    return _("No heat map: {reason}").format(reason=estimate["not_available"] or _("not computed"))


def whatItShows(volume) -> str:
    """A map's meaning and, where it says so, how it was made."""
    technique = volume.GetAttribute("technique") or "Grad-CAM"
    return _("Where the malignancy score of the chosen nodule comes from ({technique}), over the CT").format(
        technique=technique
    )


def styleSaliency(volume) -> None:
    """A volume of a map; its scale is kept, its colors span zero to its maximum."""
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    top = maximum(volume)
    display.SetAndObserveColorNodeID(COLORS)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, top)
    display.SetThreshold(FLOOR * top, top)
    display.SetApplyThreshold(True)


def maximum(volume) -> float:
    """Of the map; above zero."""
    return max(_top(volume), 1e-6)


def _top(volume) -> float:
    return volume.GetImageData().GetScalarRange()[1]
