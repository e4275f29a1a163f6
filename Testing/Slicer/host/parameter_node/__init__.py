"""``slicer.parameterNodeWrapper``: a typed class over a vtkMRMLScriptedModuleNode, with widgets bound to it."""

from host.parameter_node.connectors import Decimals, GuiConnector, SingleStep, parameterNodeGuiConnector
from host.parameter_node.types import Choice, Default, Exclude, FloatRange, Maximum, Minimum, RangeBounds, WithinRange
from host.parameter_node.wrapper import (
    SlicerParameterNamePropertyName,
    findChildWidgetForParameter,
    isParameterNodeWrapper,
    parameterNodeWrapper,
)

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "FloatRange",
    "GuiConnector",
    "Maximum",
    "Minimum",
    "RangeBounds",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "WithinRange",
    "findChildWidgetForParameter",
    "isParameterNodeWrapper",
    "parameterNodeGuiConnector",
    "parameterNodeWrapper",
]
