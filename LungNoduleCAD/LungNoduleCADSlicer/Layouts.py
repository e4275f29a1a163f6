"""The side-by-side layout: current and prior CT, linked, over the growth plot and the 3D view."""

from typing import NamedTuple

import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.Study import PRIOR_SCAN, PRIOR_SEGMENTATION, SCAN, SEGMENTATION

COMPARISON_LAYOUT = 49201
GROWTH_VIEW = "LungNoduleCADGrowth"
VIEW_GROUP = 49201
# close enough to see what became of a nodule, wide enough to see the vessels it lies at
FIELD_OF_VIEW_MM = 120.0


class ViewPair(NamedTuple):
    """A slice view of the current CT and the same one of the prior CT, by layout name (which has no spaces)."""

    current: str
    prior: str
    orientation: str
    color: str
    priorColor: str


PAIRS = (
    ViewPair("Current", "Prior", "Axial", "#F34A33", "#F9A99F"),
    ViewPair("CurrentCoronal", "PriorCoronal", "Coronal", "#6EB04B", "#C6E0B8"),
)
PRIOR_VIEWS = tuple(pair.prior for pair in PAIRS)


def register() -> None:
    """Make the layout known to the application; a scene saved in it finds it then. Without a main window: nothing."""
    layoutNode = layoutNodeOfApplication()
    if layoutNode is not None and not layoutNode.IsLayoutDescription(COMPARISON_LAYOUT):
        layoutNode.AddLayoutDescription(COMPARISON_LAYOUT, _description())


class ComparisonLayout:
    """Shows a study side by side, and brings back the layout that the reader had before."""

    def __init__(self) -> None:
        self._former = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        register()

    @property
    def shown(self) -> bool:
        layoutNode = layoutNodeOfApplication()
        return layoutNode is not None and layoutNode.GetViewArrangement() == COMPARISON_LAYOUT

    def enter(self) -> None:
        if not self.shown:
            self._former = layoutNodeOfApplication().GetViewArrangement()
            layoutNodeOfApplication().SetViewArrangement(COMPARISON_LAYOUT)

    def leave(self) -> None:
        if self.shown:
            layoutNodeOfApplication().SetViewArrangement(self._former)

    def show(self, study, chart) -> None:
        """A study's scans, outlines and growth plot in the views of the layout, the slice views linked.

        The current nodules are then outlined in every view but the prior ones, the prior nodules only in these.
        """
        for pair in PAIRS:
            _showVolume(pair.current, study.get(SCAN))
            _showVolume(pair.prior, study.get(PRIOR_SCAN), alone=True)
        plotView = slicer.mrmlScene.GetSingletonNode(GROWTH_VIEW, "vtkMRMLPlotViewNode")
        plotView.SetPlotChartNodeID(chart.GetID())
        prior = [sliceNode(name) for name in PRIOR_VIEWS]
        views = [*slicer.util.getNodesByClass("vtkMRMLSliceNode"), *slicer.util.getNodesByClass("vtkMRMLViewNode")]
        _showOnlyIn(study.get(PRIOR_SEGMENTATION), prior)
        if study.get(PRIOR_SEGMENTATION) is not None:
            study.get(PRIOR_SEGMENTATION).GetDisplayNode().SetVisibility(True)
        _showOnlyIn(study.get(SEGMENTATION), [view for view in views if view not in prior])

    def release(self, study) -> None:
        """The current nodules in all views again; the prior ones stay in the prior views, which no other layout has."""
        _showOnlyIn(study.get(SEGMENTATION), [])

    def zoomTo(self, ras) -> None:
        """All slice views onto a point (RAS mm), the pairs close to it."""
        for name in (name for pair in PAIRS for name in (pair.current, pair.prior)):
            node = sliceNode(name)
            width, height, _depth = node.GetDimensions()
            if min(width, height) > 0:
                node.SetFieldOfView(FIELD_OF_VIEW_MM, FIELD_OF_VIEW_MM * height / width, node.GetFieldOfView()[2])
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


def layoutNodeOfApplication():
    """The one layout node, or None without a main window."""
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None else None


def sliceNode(name: str):
    """The slice view of that layout name, or None where it was not made yet."""
    return slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode")


def compositeNode(name: str):
    """What a slice view shows, by its layout name."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return next((node for node in nodes if node.GetLayoutName() == name), None)


def _showVolume(name: str, volume, alone: bool = False) -> None:
    """A scan in a slice view, linked; ``alone``: without the overlay that other views may have."""
    composite = compositeNode(name)
    if composite is None:  # the view is still being made
        return
    composite.SetBackgroundVolumeID(volume.GetID() if volume is not None else None)
    if alone:
        composite.SetForegroundVolumeID(None)
    composite.SetLinkedControl(True)
    composite.SetHotLinkedControl(True)
    composite.SetDoPropagateVolumeSelection(False)  # a volume that is loaded later must not take its place


def _showOnlyIn(segmentation, views) -> None:
    """``views`` empty: in all."""
    display = segmentation.GetDisplayNode() if segmentation is not None else None
    if display is None:
        return
    wasModifying = display.StartModify()
    display.RemoveAllViewNodeIDs()
    for view in views:
        display.AddViewNodeID(view.GetID())
    display.EndModify(wasModifying)


def _description() -> str:
    axial, coronal = ((_sliceView(pair, isPrior=False), _sliceView(pair, isPrior=True)) for pair in PAIRS)
    plot = _view("vtkMRMLPlotViewNode", GROWTH_VIEW, viewlabel=_("Growth"))
    threeD = _view("vtkMRMLViewNode", "1", viewlabel="1")
    above, below = _row(*axial), _row(*coronal, plot, threeD)
    return (
        '<layout type="vertical" split="true">'
        f'<item splitSize="550">{above}</item><item splitSize="450">{below}</item></layout>'
    )


def _row(*views: str) -> str:
    return f'<layout type="horizontal" split="true">{"".join(f"<item>{view}</item>" for view in views)}</layout>'


def _sliceView(pair: ViewPair, isPrior: bool) -> str:
    return _view(
        "vtkMRMLSliceNode",
        pair.prior if isPrior else pair.current,
        orientation=pair.orientation,
        viewlabel=_("Prior") if isPrior else _("Current"),
        viewcolor=pair.priorColor if isPrior else pair.color,
        viewgroup=str(VIEW_GROUP),
    )


def _view(nodeClass: str, tag: str, **properties: str) -> str:
    lines = "".join(
        f'<property name="{name}" action="default">{value}</property>' for name, value in properties.items()
    )
    return f'<view class="{nodeClass}" singletontag="{tag}">{lines}</view>'
