"""A plot view: the MRML chart of a vtkMRMLPlotViewNode, drawn by VTK's charts as Slicer's qMRMLPlotView does."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from host.rendering import picture


def renderPlot(node, width: int, height: int) -> np.ndarray:
    """Picture (H, W, 3) uint8; white where the view has no chart."""
    view = vtk.vtkContextView()
    view.GetRenderWindow().SetOffScreenRendering(1)
    view.GetRenderWindow().SetMultiSamples(0)
    view.GetRenderWindow().SetSize(width, height)
    view.GetRenderer().SetBackground(1.0, 1.0, 1.0)
    chart = node.GetPlotChartNode()
    if chart is not None:
        view.GetScene().AddItem(_drawn(chart))
    view.GetRenderWindow().Render()
    pixels = picture(view.GetRenderWindow())
    view.GetRenderWindow().Finalize()
    return pixels


def _drawn(chart) -> vtk.vtkChartXY:
    drawn = vtk.vtkChartXY()
    drawn.SetTitle(chart.GetTitle() if chart.GetTitleVisibility() and chart.GetTitle() else "")
    drawn.GetTitleProperties().SetFontSize(chart.GetTitleFontSize())
    drawn.SetShowLegend(chart.GetLegendVisibility())
    drawn.GetLegend().SetLabelSize(chart.GetLegendFontSize())
    _axis(drawn.GetAxis(vtk.vtkAxis.BOTTOM), chart, "X")
    _axis(drawn.GetAxis(vtk.vtkAxis.LEFT), chart, "Y")
    for index in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(index)
        if series is not None and series.GetTableNode() is not None:
            _series(drawn, series)
    return drawn


def _axis(axis, chart, name: str) -> None:
    title = getattr(chart, f"Get{name}AxisTitle")()
    axis.SetTitle(title if title and getattr(chart, f"Get{name}AxisTitleVisibility")() else "")
    axis.GetTitleProperties().SetFontSize(chart.GetAxisTitleFontSize())
    axis.GetLabelProperties().SetFontSize(chart.GetAxisLabelFontSize())
    axis.SetGridVisible(chart.GetGridVisibility())
    axis.SetLogScale(getattr(chart, f"Get{name}AxisLogScale")())
    if not getattr(chart, f"Get{name}AxisRangeAuto")():
        axis.SetBehavior(vtk.vtkAxis.FIXED)
        axis.SetRange(*getattr(chart, f"Get{name}AxisRange")())


def _series(drawn, series) -> None:
    kinds = slicer.vtkMRMLPlotSeriesNode
    table = series.GetTableNode().GetTable()
    if table.GetColumnByName(series.GetYColumnName() or "") is None:
        return
    bar = series.GetPlotType() in (kinds.PlotTypeBar, kinds.PlotTypeScatterBar)
    plot = drawn.AddPlot(vtk.vtkChart.BAR if bar else vtk.vtkChart.LINE)
    withX = series.GetXColumnName() and series.GetPlotType() in (kinds.PlotTypeScatter, kinds.PlotTypeScatterBar)
    plot.SetInputData(table, series.GetXColumnName() if withX else series.GetYColumnName(), series.GetYColumnName())
    plot.SetUseIndexForXSeries(not withX)
    plot.SetLabel(series.GetName())
    red, green, blue = (round(255 * value) for value in series.GetColor())
    plot.SetColor(red, green, blue, round(255 * series.GetOpacity()))
    if bar:
        return
    plot.SetWidth(series.GetLineWidth())
    plot.GetPen().SetLineType(series.GetLineStyle())
    plot.SetMarkerStyle(series.GetMarkerStyle())
    plot.SetMarkerSize(series.GetMarkerSize())
