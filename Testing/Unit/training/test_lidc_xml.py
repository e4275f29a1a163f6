from __future__ import annotations

from pathlib import Path

import pytest

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.training.lidc_xml import Reading, read_lidc_xml

READING = """<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage uid="1.2.3" xmlns="http://www.nih.gov">
<ResponseHeader><Version>1.8</Version><SeriesInstanceUid> 1.2.840.1 </SeriesInstanceUid></ResponseHeader>
<readingSession>
  <annotationVersion>3.12</annotationVersion><!-- a comment -->
  <unblindedReadNodule>
    <noduleID>Nodule 001</noduleID>
    <characteristics>
      <subtlety>4</subtlety><internalStructure>1</internalStructure><calcification>6</calcification>
      <texture> 5 </texture><malignancy>3</malignancy><margin></margin>
    </characteristics>
    <roi>
      <imageZposition>-131.6 </imageZposition><imageSOP_UID>1.2.840.1.7</imageSOP_UID><inclusion>TRUE</inclusion>
      <edgeMap><xCoord>92</xCoord><yCoord>171</yCoord></edgeMap>
      <edgeMap><xCoord>95</xCoord><yCoord>171</yCoord></edgeMap>
      <edgeMap><xCoord>95</xCoord><yCoord>175</yCoord></edgeMap>
    </roi>
    <roi>
      <imageSOP_UID>1.2.840.1.7</imageSOP_UID><inclusion>FALSE</inclusion>
      <edgeMap><xCoord>93</xCoord><yCoord>172</yCoord></edgeMap>
    </roi>
  </unblindedReadNodule>
</readingSession>
<readingSession></readingSession>
<readingSession>
  <unblindedReadNodule>
    <noduleID>small</noduleID>
    <roi>
      <imageSOP_UID>1.2.840.1.9</imageSOP_UID><inclusion>TRUE</inclusion>
      <edgeMap><xCoord>10</xCoord><yCoord>20</yCoord></edgeMap>
    </roi>
  </unblindedReadNodule>
  <nonNodule>
    <nonNoduleID>5</nonNoduleID><imageSOP_UID>1.2.840.1.8</imageSOP_UID>
    <locus><xCoord>30</xCoord><yCoord>40</yCoord></locus>
  </nonNodule>
</readingSession>
</LidcReadMessage>
"""
RADIOGRAPH = """<IdriReadMessage xmlns="http://www.nih.gov/idri">
<ResponseHeader><CTSeriesInstanceUid>1.2.840.1</CTSeriesInstanceUid><Modality>CXR</Modality></ResponseHeader>
<CXRreadingSession></CXRreadingSession></IdriReadMessage>
"""


def read(folder: Path, text: str) -> Reading | None:
    path = folder / "158.xml"
    path.write_text(text, encoding="utf-8")
    return read_lidc_xml(path)


def test_a_nodule_has_its_reader_its_grades_and_what_was_drawn_on_each_slice(tmp_path: Path) -> None:
    reading = read(tmp_path, READING)
    nodule = reading.nodules[0]
    outline, hole = nodule.regions

    assert reading.series_uid == "1.2.840.1"
    assert nodule.reader == 0
    assert nodule.is_outlined
    assert nodule.ratings == {
        "subtlety": 4, "internalstructure": 1, "calcification": 6, "texture": 5, "malignancy": 3,
    }  # fmt: skip
    assert outline.sop_uid == "1.2.840.1.7"
    assert outline.points_xy.tolist() == [[92, 171], [95, 171], [95, 175]]
    assert (outline.included, hole.included) == (True, False)


def test_a_mark_below_3_mm_is_a_place_without_grades_and_keeps_its_reader(tmp_path: Path) -> None:
    small = read(tmp_path, READING).nodules[1]

    assert small.reader == 2
    assert not small.is_outlined
    assert small.ratings == {}
    assert small.regions[0].points_xy.tolist() == [[10, 20]]


def test_non_nodules_are_places(tmp_path: Path) -> None:
    (other,) = read(tmp_path, READING).non_nodules

    assert (other.sop_uid, other.points_xy.tolist()) == ("1.2.840.1.8", [[30, 40]])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (' xmlns="http://www.nih.gov"', ""),
        ("http://www.nih.gov", "http://www.nih.gov/idri"),
        ("SeriesInstanceUid>", "seriesInstanceUID>"),
        ("SeriesInstanceUid>", "CTSeriesInstanceUid>"),
        ("LidcReadMessage", "IdriReadMessage"),
    ],
)
def test_files_differ_in_namespace_and_case_and_read_alike(tmp_path: Path, one: str, other: str) -> None:
    assert one in READING
    first, second = read(tmp_path, READING), read(tmp_path, READING.replace(one, other))

    assert second.series_uid == first.series_uid
    assert [n.ratings for n in second.nodules] == [n.ratings for n in first.nodules]
    assert len(second.non_nodules) == 1


def test_a_reading_of_a_radiograph_is_not_one_of_a_ct(tmp_path: Path) -> None:
    assert read(tmp_path, RADIOGRAPH) is None


def test_other_xml_is_no_reading(tmp_path: Path) -> None:
    assert read(tmp_path, "<project><readingSession/></project>") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (READING[:900], "unclosed|no element"),
        (READING.replace("1.2.840.1 ", ""), "no SeriesInstanceUid"),
        (READING.replace("<xCoord>92</xCoord>", "<xCoord>left</xCoord>"), "left"),
        (READING.replace("<locus><xCoord>30</xCoord><yCoord>40</yCoord></locus>", ""), "without a point"),
        ("", "no element found"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=f"158.xml is damaged.*({why})"):
        read(tmp_path, text)
