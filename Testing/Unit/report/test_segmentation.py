from dataclasses import replace

import nrrd
import numpy as np
import SimpleITK as sitk

from LungNoduleCADLib.imaging.sitk_bridge import geometry_of
from LungNoduleCADLib.report.segmentation import read_saliency, write_saliency, write_segmentation


def test_lungs_and_nodules_come_back_as_named_segments_on_two_layers(make_findings, lungs, tmp_path):
    findings = make_findings(3, masked=True)
    write_segmentation(lungs, findings.nodules, tmp_path / "s.seg.nrrd")
    data, header = nrrd.read(str(tmp_path / "s.seg.nrrd"), index_order="C")
    assert header["kinds"] == ["list", "domain", "domain", "domain"]
    assert [header[f"Segment{n}_ID"] for n in range(5)] == ["lung_right", "lung_left", "N1", "N2", "N3"]
    np.testing.assert_array_equal(data[..., 0], lungs.labels)
    for number, nodule in enumerate(findings.nodules, start=2):
        assert header[f"Segment{number}_Layer"] == "1"
        values = data[..., 1] == int(header[f"Segment{number}_LabelValue"])
        np.testing.assert_array_equal(values[nodule.mask.box], nodule.mask.voxels)
        assert values.sum() == nodule.mask.voxels.sum()
        i0, i1, j0, j1, k0, k1 = (int(v) for v in header[f"Segment{number}_Extent"].split())
        where = np.argwhere(values)
        assert [k0, j0, i0] == where.min(axis=0).tolist()
        assert [k1, j1, i1] == where.max(axis=0).tolist()


def test_the_header_is_what_slicer_reads(make_findings, lungs, tmp_path):
    findings = make_findings(1, masked=True)
    write_segmentation(lungs, findings.nodules, tmp_path / "s.seg.nrrd")
    header = nrrd.read_header(str(tmp_path / "s.seg.nrrd"))
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert header["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    terminology = header["Segment2_Tags"]
    assert terminology.startswith("TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list~")
    assert terminology.endswith("|")
    assert terminology.count("~") == 6
    for code in ("SCT^49755003^", "SCT^27925004^Nodule", "SCT^39607008^Lung", "SCT^24028007^Right"):
        assert code in terminology
    assert "SCT^7771000^Left" in header["Segment1_Tags"]
    assert all(0 <= float(channel) <= 1 for channel in header["Segment0_Color"].split())
    assert header["Segment2_Name"].startswith("N1 solid 6.2 mm")


def test_a_layer_lies_where_the_ct_lies(make_findings, lungs, tmp_path):
    findings = make_findings(1, masked=True)
    write_segmentation(lungs, findings.nodules, tmp_path / "s.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "s.seg.nrrd"))
    assert image.GetNumberOfComponentsPerPixel() == 2
    assert geometry_of(image) == lungs.geometry


def test_of_overlapping_nodules_the_first_wins(make_findings, lungs, tmp_path):
    nodule = make_findings(1, masked=True).nodules[0]
    write_segmentation(lungs, [nodule, nodule], tmp_path / "s.seg.nrrd")
    data, _ = nrrd.read(str(tmp_path / "s.seg.nrrd"), index_order="C")
    assert set(np.unique(data[..., 1])) == {0, 1}


def test_saliency_keeps_its_place_and_its_values(make_findings, tmp_path):
    nodule = make_findings(1, masked=True).nodules[0]
    write_saliency(nodule, tmp_path / "N1.nrrd")
    image = sitk.ReadImage(str(tmp_path / "N1.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), nodule.saliency.heat)
    np.testing.assert_allclose(image.GetOrigin(), nodule.saliency.geometry.origin_lps_mm)
    np.testing.assert_allclose(image.GetSpacing(), nodule.saliency.geometry.spacing_kji_mm[::-1])


def test_saliency_is_read_back_with_its_score_and_its_model(make_findings, tmp_path):
    written = make_findings(1, masked=True).nodules[0]
    write_saliency(written, tmp_path / "N1.nrrd")
    read = read_saliency(tmp_path / "N1.nrrd")
    np.testing.assert_array_equal(read.heat, written.saliency.heat)
    assert (read.target, read.score, read.method, read.technique) == (
        written.saliency.target,
        written.saliency.score,
        written.saliency.method,
        written.saliency.technique,
    )


def test_saliency_of_an_earlier_version_which_did_not_name_its_technique_is_grad_cam(make_findings, tmp_path):
    nodule = make_findings(1, masked=True).nodules[0]
    write_saliency(replace(nodule, saliency=replace(nodule.saliency, technique="HiResCAM")), tmp_path / "new.nrrd")
    image = sitk.ReadImage(str(tmp_path / "new.nrrd"))
    image.EraseMetaData("technique")
    sitk.WriteImage(image, str(tmp_path / "old.nrrd"))
    assert read_saliency(tmp_path / "new.nrrd").technique == "HiResCAM"
    assert read_saliency(tmp_path / "old.nrrd").technique == "Grad-CAM"
