"""The growth plot of a nodule as MRML nodes of its study: volume over days, with the 95 % interval of the change."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.Study import GROWTH_CHART

COLOR = (0.12, 0.45, 0.75)
INTERVAL_COLOR = (0.55, 0.55, 0.55)
HEADROOM = 1.15


def showGrowth(study, row):
    """The study's chart node, showing a row of the comparison (None: nothing); made where there is none yet."""
    chart = study.get(GROWTH_CHART) or _createChart(study)
    points = _points(study, row) if row is not None else {}
    wasModifying = chart.StartModify()
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    table = series[0].GetTableNode()
    # a column that a series names must be there, so a nodule of one CT has an interval of no width
    columns = points or {name: [] for name in ("days", "volume", "low", "high")}
    slicer.util.updateTableFromArray(table, [np.array(column, float) for column in columns.values()], list(columns))
    chart.SetTitle(_title(row))
    days, volumes = columns["days"], [*columns["volume"], *columns["high"]]
    last = max(days, default=1) or 1
    chart.SetXAxisRange(-0.1 * last, 1.1 * last)
    chart.SetYAxisRange(0.0, HEADROOM * max(volumes, default=1))
    chart.SetXAxisTitle(_xAxisTitle(study))
    chart.EndModify(wasModifying)
    return chart


def _points(study, row) -> dict[str, list[float]]:
    """Columns of the table: a point for each CT in which the nodule was measured."""
    before, after = (nodule["volume_mm3"] if nodule else None for nodule in (row.prior, row.current))
    interval = study.findings["comparison"]["interval_days"]
    later = interval if interval is not None else 1
    points = {"days": [], "volume": [], "low": [], "high": []}
    limits = row.match["volume_change_interval_95_percent"] if before is not None else None
    low, high = (before * (1 + change / 100) for change in limits) if limits else (after, after)
    for values in ((0, before, before, before), (later, after, low, high)):
        if values[1] is not None:
            for column, value in zip(points.values(), values, strict=True):
                column.append(value)
    return points


def _title(row) -> str:
    if row is None:
        return _("No nodule chosen")
    names = " → ".join(filter(None, (row.match["prior_id"], row.match["current_id"])))
    return f"{names}: {row.match['change']}"


def _xAxisTitle(study) -> str:
    findings = study.findings
    if findings["comparison"]["interval_days"] is None:
        return _("prior (0), current (1); dates unknown")
    return _("days since {date}").format(date=findings["prior"]["series"]["study_date"])


def _createChart(study):
    """Chart, three series and their table; all saved with the scene."""
    name = study.node.GetName()
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", _("{study}: growth").format(study=name))
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", _("{study}: growth plot").format(study=name))
    kinds = slicer.vtkMRMLPlotSeriesNode
    for label, column, color, line, marker in (
        (_("Volume"), "volume", COLOR, kinds.LineStyleSolid, kinds.MarkerStyleCircle),
        (_("95% interval, low"), "low", INTERVAL_COLOR, kinds.LineStyleDash, kinds.MarkerStyleNone),
        (_("95% interval, high"), "high", INTERVAL_COLOR, kinds.LineStyleDash, kinds.MarkerStyleNone),
    ):
        series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", label)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetPlotType(kinds.PlotTypeScatter)
        series.SetXColumnName("days")
        series.SetYColumnName(column)
        series.SetColor(*color)
        series.SetLineStyle(line)
        series.SetMarkerStyle(marker)
        series.SetMarkerSize(9)
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetYAxisTitle(_("volume (mm³)"))
    chart.SetXAxisRangeAuto(False)
    chart.SetYAxisRangeAuto(False)
    chart.SetEnablePointMoveAlongX(False)
    chart.SetEnablePointMoveAlongY(False)
    chart.SetTitleFontSize(15)
    chart.SetAxisTitleFontSize(13)
    chart.SetLegendFontSize(11)
    study.set(GROWTH_CHART, chart)
    return chart
