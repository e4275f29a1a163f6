"""What is to be said of a scan and its prior before they are analyzed."""

from datetime import date

from slicer.i18n import tr as _

from LungNoduleCADSlicer.ScanFacts import factsOf


def whyNotThese(scan, prior) -> str:
    """Why these scans cannot be analyzed; empty where they can. ``prior`` may be None."""
    if scan is None:
        return _("Choose a chest CT first")
    if prior is None:
        return ""
    current, earlier = factsOf(scan), factsOf(prior)
    if prior is scan or (current.seriesUid and current.seriesUid == earlier.seriesUid):
        return _("Scan and prior are the same; choose an earlier CT as prior, or none")
    if current.patientKey and earlier.patientKey and current.patientKey != earlier.patientKey:
        return _("Scan and prior have different patient IDs; choose a prior of the same patient, or none")
    if areSwapped(scan, prior):
        return _("The prior ({prior}) is later than the scan ({scan})").format(prior=earlier.date, scan=current.date)
    return ""


def areSwapped(scan, prior) -> bool:
    """Whether the prior is known to be the later one."""
    current, earlier = factsOf(scan).date, factsOf(prior).date
    return bool(current and earlier) and earlier > current


def aboutThese(scan, prior) -> str:
    """What growth will be measured over, or why it cannot be; empty without a prior."""
    if scan is None or prior is None:
        return ""
    current, earlier = factsOf(scan).date, factsOf(prior).date
    if not current or not earlier:
        return _("Without both study dates volumes are compared, but no doubling time is given")
    days = (date.fromisoformat(current) - date.fromisoformat(earlier)).days
    if not days:
        return _("Both scans are of the same day: a change in volume is measurement error")
    return _("The prior of {date} is {days} days earlier").format(date=earlier, days=days)
