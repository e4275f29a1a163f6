"""``send`` and ``fetch`` against a PACS in this process."""

from __future__ import annotations

import socket
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import RLELossless

from LungNoduleCADLib.errors import UsageError
from LungNoduleCADLib.pacs.address import Node, Web, parse_address


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("PACS@10.0.0.7:104", Node("PACS", "10.0.0.7", 104)),
        ("MY PACS"[3:] + "@host.example:11112", Node("PACS", "host.example", 11112)),
        ("A@[::1]:104", Node("A", "::1", 104)),
        ("https://pacs.example/dicom-web/", Web("https://pacs.example/dicom-web")),
    ],
)
def test_an_address_is_a_titled_host_or_a_web_address(words, address) -> None:
    assert parse_address(words) == address


@pytest.mark.parametrize(
    "words", ["pacs", "PACS@host", "PACS@host:0", "PACS@host:70000", "SEVENTEEN_LETTERS@h:1", "https://me:secret@host"]
)
def test_anything_else_is_no_address(words) -> None:
    with pytest.raises(UsageError, match=r"TITLE@HOST:PORT"):
        parse_address(words)


def test_what_is_sent_is_there_voxel_for_voxel(pacs, scans: Path, ask) -> None:
    assert "24 DICOM file(s) sent" in ask("send", pacs.address, scans / "baseline")
    for file in (scans / "baseline").iterdir():
        sent = pydicom.dcmread(file)
        assert pacs.stored[sent.SOPInstanceUID].PixelData == sent.PixelData
        assert pacs.stored[sent.SOPInstanceUID].PatientID == sent.PatientID


def test_a_compressed_file_is_sent_uncompressed_where_the_pacs_wants_that(pacs, scans: Path, tmp_path, ask) -> None:
    file = sorted((scans / "baseline").iterdir())[10]
    dataset = pydicom.dcmread(file)
    pixels = dataset.PixelData
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "compressed.dcm")
    ask("send", pacs.address, tmp_path / "compressed.dcm")
    (stored,) = pacs.stored.values()
    assert not stored.file_meta.TransferSyntaxUID.is_compressed
    assert stored.PixelData == pixels


def test_the_prior_of_a_scan_is_fetched_and_can_be_loaded(pacs, scans: Path, tmp_path, ask) -> None:
    from LungNoduleCADLib.dicom.load import load_ct

    ask("send", pacs.address, scans)
    words = ask("fetch", pacs.address, "--scan", scans / "follow-up", "-o", tmp_path / "priors")
    (folder,) = (tmp_path / "priors").iterdir()
    assert str(folder) in words
    assert load_ct(folder).series == load_ct(scans / "baseline").series
    assert (load_ct(folder).hu == load_ct(scans / "baseline").hu).all()


def test_a_pacs_without_c_get_moves_the_series_to_us(pacs, scans: Path, tmp_path, ask) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pacs.others["US"] = ("127.0.0.1", port)
    ask("send", pacs.address, scans)
    patient = pydicom.dcmread(next((scans / "baseline").iterdir())).PatientID
    more = ["--listen", port, "--calling", "US", "--studies", 2]
    ask("fetch", pacs.address, "--patient", patient, "-o", tmp_path / "priors", *more)
    assert [len(list(folder.iterdir())) for folder in sorted((tmp_path / "priors").iterdir())] == [24, 24]


def test_a_list_says_what_there_is_and_fetches_nothing(pacs, scans: Path, ask) -> None:
    ask("send", pacs.address, scans)
    patient = pydicom.dcmread(next((scans / "baseline").iterdir())).PatientID
    everything = ask("fetch", pacs.address, "--patient", patient, "--list").splitlines()
    assert [line.endswith("24 images") for line in everything] == [True, True]
    assert everything == sorted(everything, reverse=True)
    latest = everything[0][:10]
    assert ask("fetch", pacs.address, "--patient", patient, "--list", "--before", latest).splitlines() == everything[1:]
    assert ask("fetch", pacs.address, "--patient", "somebody else", "--list") == ""


def test_series_of_other_parts_and_localizers_are_no_priors(pacs, scans: Path, ask) -> None:
    ask("send", pacs.address, scans / "baseline")
    patient = next(iter(pacs.stored.values())).PatientID
    for dataset in pacs.stored.values():
        dataset.BodyPartExamined = "ABDOMEN"
    assert ask("fetch", pacs.address, "--patient", patient, "--list") == ""
    for dataset in pacs.stored.values():
        dataset.BodyPartExamined = "CHEST"
    for uid in list(pacs.stored)[3:]:
        del pacs.stored[uid]
    assert ask("fetch", pacs.address, "--patient", patient, "--list") == ""


def test_a_series_that_comes_in_part_leaves_nothing_behind(pacs, scans: Path, tmp_path, ask) -> None:
    ask("send", pacs.address, scans / "baseline")
    pacs.lose = 2
    patient = next(iter(pacs.stored.values())).PatientID
    said = ask("fetch", pacs.address, "--patient", patient, "-o", tmp_path / "priors", code=5)
    assert "did not hand over the whole series: expected 24 objects, got 22" in said
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_named_before_anything_is_sent(pacs, scans: Path, tmp_path, ask) -> None:
    whole = next((scans / "baseline").iterdir())
    (tmp_path / "a.dcm").write_bytes(whole.read_bytes())
    (tmp_path / "b.dcm").write_bytes(whole.read_bytes()[:200])
    assert "b.dcm cannot be" in ask("send", pacs.address, tmp_path, code=3)
    assert pacs.stored == {}


def test_a_refusal_is_told_with_its_status(pacs, scans: Path, ask) -> None:
    pacs.refuse = 0xA700
    said = ask("send", pacs.address, scans / "baseline", code=5)
    assert "refused 0001.dcm: got status 0xA700" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("scheme", ["PACS@127.0.0.1:{}", "http://127.0.0.1:{}/dicom-web"])
def test_a_pacs_that_does_not_answer_is_told_in_one_sentence(scans: Path, ask, scheme: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = scheme.format(free.getsockname()[1])
        said = ask("send", address, scans / "baseline", code=5)
    assert f"{address} cannot be reached" in said
    assert said.count("\n") == 1


def test_a_wrong_title_is_told(pacs, scans: Path, ask) -> None:
    said = ask("send", pacs.address.replace("PACS", "OTHER"), scans / "baseline", code=5)
    assert "it rejected us" in said


def test_nothing_to_send_and_a_full_folder_are_refused_before_anything_is_asked(
    pacs, scans: Path, tmp_path, ask
) -> None:
    (tmp_path / "note.txt").write_text("not DICOM", encoding="utf-8")
    assert "nothing to send" in ask("send", pacs.address, tmp_path, code=3)
    said = ask("fetch", pacs.address, "--scan", scans / "baseline", "-o", tmp_path, code=3)
    assert "holds other files" in said
    assert "no place to fetch to" in ask("fetch", pacs.address, "--patient", "1", code=3)
