"""The growth plot of a nodule as MRML nodes of its study: volume over days, with its 95 % interval."""

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
    columns = _columns(study, row)
    wasModifying = chart.StartModify()
    table = chart.GetNthPlotSeriesNode(0).GetTableNode()
    slicer.util.updateTableFromArray(table, [np.array(column, float) for column in columns.values()], list(columns))
    days = max(columns["days"], default=0) or study.findings["comparison"]["interval_days"] or 1
    chart.SetTitle(_title(row))
    chart.SetXAxisTitle(_xAxisTitle(study, _exams(study, row)))
    chart.SetXAxisRange(-0.1 * days, 1.1 * days)
    chart.SetYAxisRange(0.0, HEADROOM * max([*columns["volume"], *columns["high"]], default=1))
    chart.EndModify(wasModifying)
    return chart


def _columns(study, row) -> dict[str, list[float]]:
    """A line for each CT; a nodule that was measured in one of them only has its point twice, for a line needs two."""
    columns = {"days": [], "volume": [], "low": [], "high": []}
    if row is None:
        return columns
    exams = _exams(study, row)
    for exam in exams:
        point = (exams[0]["days"] - exam["days"], exam["volume_mm3"], *exam["volume_interval_95_mm3"])
        for column, value in zip(columns.values(), point, strict=True):
            column.append(value)
    if exams:
        return columns
    before, after = (nodule["volume_mm3"] if nodule else None for nodule in (row.prior, row.current))
    days = study.findings["comparison"]["interval_days"]
    limits = row.match["volume_change_interval_95_percent"] if before is not None else None
    low, high = (before * (1 + change / 100) for change in limits) if limits else (after, after)
    earlier = (0, before, before, before) if before is not None else None
    later = (1 if days is None else days, after, low, high) if after is not None else None
    for point in (earlier or later, later or earlier):
        for column, value in zip(columns.values(), point or (), strict=bool(point)):
            column.append(value)
    return columns


def _exams(study, row) -> list[dict]:
    """The dated exams that show the nodule, oldest first, where there are more than the two of the comparison."""
    if row is None or row.current is None:
        return []
    for series in study.findings["comparison"]["series"]:
        if series["current_id"] == row.current["id"]:
            shown = [p for p in series["points"] if p["days"] is not None and p["volume_interval_95_mm3"] is not None]
            return shown if len(shown) > 2 else []
    return []


def _title(row) -> str:
    """VTK's font has no arrow."""
    if row is None:
        return _("No nodule chosen")
    match = row.match
    if match["prior_id"] and match["current_id"]:
        return _("{prior_id} before, {current_id} now: {change}\ndashed: 95% interval").format(**match)
    return f"{match['prior_id'] or match['current_id']}: {match['change']}"


def _xAxisTitle(study, exams: list[dict]) -> str:
    findings = study.findings
    if exams:
        return _("days since {date}").format(date=exams[0]["study_date"])
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
    chart.SetLegendVisibility(False)  # it would hide the curves of a plot of this size
    chart.SetTitleFontSize(14)
    chart.SetAxisTitleFontSize(13)
    study.set(GROWTH_CHART, chart)
    return chart
