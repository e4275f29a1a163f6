"""What exported DICOM objects say in codes; where no public code fits, one of our own (99LUNGNODULECAD) says it."""

from __future__ import annotations

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import Code, codes

from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.lung_rads import LungRadsCategory
from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.domain.nodule import NoduleType, Review

_PRIVATE = "99LUNGNODULECAD"
PRIVATE_SCHEMES = (
    CodingSchemeIdentificationItem(
        designator=_PRIVATE, name="LungNoduleCAD", version="1", responsible_organization="LungNoduleCAD"
    ),
)


def sequence_item(code: Code) -> CodedConcept:
    """A code as an item of a sequence."""
    return CodedConcept.from_code(code)


def _own(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, _PRIVATE, meaning)


def _radlex(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "RADLEX", meaning)


# Anatomy and findings (SNOMED CT, as pydicom's dictionary prints them)
ANATOMY, LESION = codes.SCT.AnatomicalStructure, codes.SCT.MorphologicallyAbnormalStructure
LUNG, NODULE = codes.SCT.Lung, codes.SCT.Nodule
SIDES = {Side.RIGHT: codes.SCT.Right, Side.LEFT: codes.SCT.Left}
ZONES = {
    "upper": codes.SCT.UpperZoneOfLung,
    "middle": codes.SCT.MiddleZoneOfLung,
    "lower": codes.SCT.LowerZoneOfLung,
}
CHEST_CT, CHEST_CT_REPORT = CodedConcept("24627-2", "LN", "CT Chest"), codes.LN.CTChestReport
LEARNED, CLASSICAL = codes.DCM.ArtificialIntelligence, codes.DCM.MorphologicalOperations

# Measurements
VOLUME, LONG_AXIS, SHORT_AXIS = codes.SCT.Volume, codes.SCT.LongAxis, codes.SCT.ShortAxis
DIAMETER, MEAN = codes.SCT.Diameter, codes.SCT.Mean
MEAN_HU = codes.DCM.MeanAttenuationCoefficient
MASS = CodedConcept("118538004", "SCT", "Mass")
SOLID_VOLUME = _own("solid_volume", "Volume of the solid part")
SOLID_LONG_AXIS = _own("solid_long_axis", "Long axis of the solid part")
SOLID_SHORT_AXIS = _own("solid_short_axis", "Short axis of the solid part")
SOLID_DIAMETER = _own("solid_diameter", "Mean diameter of the solid part")
VOLUME_CHANGE = _own("volume_change", "Volume change since the prior CT")
DOUBLING_TIME = _own("doubling_time", "Volume doubling time (negative: halving)")
MALIGNANCY = _own("malignancy", "Likeness to malignancy as LIDC readers would see it")
READERS_OPINION = _own("lidc_opinion", "Model of LIDC-IDRI readers' opinion, not pathology")

MM, MM3, HU = codes.UCUM.Millimeter, codes.UCUM.CubicMillimeter, codes.UCUM.HounsfieldUnit
PERCENT, DAY = codes.UCUM.Percent, codes.UCUM.Day
MILLIGRAM, MILLILITER = CodedConcept("mg", "UCUM", "milligram"), CodedConcept("mL", "UCUM", "milliliter")

# Evaluations
TEXTURE = CodedConcept("C41144", "NCIt", "Texture")
TYPES = {
    NoduleType.SOLID: _radlex("RID50151", "solid pulmonary nodule"),
    NoduleType.PART_SOLID: _radlex("RID50152", "part-solid pulmonary nodule"),
    NoduleType.GROUND_GLASS: _radlex("RID50153", "non-solid pulmonary nodule"),
}
LUNG_RADS = _radlex("RID50134", "Lung-RADS assessment")
CATEGORIES = {
    category: _radlex(f"RID{50135 + number}", f"Lung-RADS {category}")
    for number, category in enumerate(LungRadsCategory)
}
MODIFIER_S = _radlex("RID50710", "Lung-RADS S")
CHANGE = _own("change", "Change since the prior CT")
CHANGES = {
    Change.NEW: _own("new", "New"),
    Change.GROWING: codes.SCT.IncreaseInSize,
    Change.STABLE: codes.SCT.NoSignificantChangesInTheFinding,
    Change.SHRINKING: codes.SCT.DecreaseInSize,
    Change.UNCERTAIN: _own("uncertain", "Uncertain"),
}
REVIEW = _own("review", "Reader's review of the finding")
REVIEWS = {
    Review.UNREVIEWED: _own("unreviewed", "Not yet reviewed"),
    Review.ACCEPTED: _own("accepted", "Accepted by the reader"),
}

# Text
EVALUATIONS = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")
CONCLUSION, RECOMMENDATION, COMMENT = codes.DCM.Conclusion, codes.DCM.Recommendation, codes.DCM.Comment
