"""Which words of a header may go into results: those that say how a scan was made, never those that may name somebody.

Free text can hold anything: of a description only known words of radiology and small numbers are kept, of a kernel only
what kernels are called, of a manufacturer only a known one.
"""

from __future__ import annotations

import re

LEFT_OUT = "…"

_CHEST_CT = """
    CT CHEST THORAX THORACIC TORAX LUNG LUNGS LUNGE PULMONARY PULMO POUMON MEDIASTINUM MEDIASTINAL ABDOMEN ABD PELVIS
    NECK HEAD WHOLE BODY TRUNK UPPER LOWER LOW DOSE LD LDCT NLST SCREEN SCREENING FOLLOW UP FOLLOWUP BASELINE ROUTINE
    STANDARD STD SOFT TISSUE BONE SHARP SMOOTH DETAIL EDGE ULTRA HR HRCT HIGH RESOLUTION RES THIN THICK AXIAL AX
    TRANSVERSE TRA CORONAL COR SAGITTAL SAG HELICAL SPIRAL VOLUME VOL RECON REC RECONSTRUCTION KERNEL FILTER WINDOW
    PRONE SUPINE INSPIRATION INSP EXPIRATION EXP BREATH HOLD WITH WITHOUT WO W O CONTRAST CONTR NATIVE NON NC CE IV KM
    ARTERIAL VENOUS PHASE PORTAL DELAYED ANGIO CTA PE TAP CAP MIP MPR SERIES IMAGE IMAGES MM CM KV KVP MA MAS SLICE
    SLICES ORIGINAL PRIMARY DERIVED SECONDARY LOCALIZER SCOUT TOPOGRAM SURVIEW NODULE NODULES PHANTOM SYNTHETIC TEST
    ASIR SAFIRE ADMIRE IDOSE AIDR VEO IMR FBP IR DL AND OF THE IN FOR
"""
_WORDS = frozenset(_CHEST_CT.split())
_NAMED_KERNELS = "LUNG BONE BONEPLUS BONE+ STANDARD STD SOFT DETAIL EDGE ULTRA CHEST SMOOTH SHARP A B C D E L"
_KERNELS = frozenset(_NAMED_KERNELS.split())
_MANUFACTURERS = (
    *("GE MEDICAL SYSTEMS", "GE HEALTHCARE", "GE", "SIEMENS HEALTHINEERS", "SIEMENS", "PHILIPS", "CANON", "TOSHIBA"),
    *("HITACHI", "FUJIFILM", "SAMSUNG", "UIH", "UNITED IMAGING", "NEUSOFT", "MINFOUND", "NEUROLOGICA", "PICKER"),
    *("MARCONI", "ELSCINT", "IMATRON", "SHIMADZU", "ARINETA", "LUNGNODULECAD"),
)

_SMALL_NUMBER = re.compile(r"\d{1,3}([.,]\d{1,3})?(MM|CM|KV|KVP|MA|MAS|S|%)?")
_KERNEL_CODE = re.compile(r"[A-Z]{1,2}\d{1,2}[A-Z]{0,2}\d?|FC\d\d[A-Z]?|Y[A-E]|\d{1,2}")
_BETWEEN_WORDS = re.compile(r"[\s_/\\^,;:()\[\]<>=&|-]+")


def known_words(description: str) -> str:
    """A description without words that may name somebody; ``…`` stands where some were left out."""
    kept: list[str] = []
    for word in filter(None, _BETWEEN_WORDS.split(description)):
        known = _is_known(word)
        if known or kept[-1:] != [LEFT_OUT]:
            kept.append(word if known else LEFT_OUT)
    return "" if kept == [LEFT_OUT] else " ".join(kept)


def kernel_name(kernel: str) -> str:
    """A reconstruction kernel, as far as it is called like one."""
    words = [word for word in filter(None, _BETWEEN_WORDS.split(kernel)) if _is_kernel(word)]
    return " ".join(words)


def manufacturer_name(manufacturer: str) -> str:
    """A known manufacturer as the header has it, in its usual name; nothing for any other."""
    said = " ".join(manufacturer.upper().split())
    known = next((name for name in _MANUFACTURERS if re.match(rf"{re.escape(name)}\b", said)), None)
    if known is None:
        return ""
    return manufacturer.strip()[: len(known)]


def _is_known(word: str) -> bool:
    plain = word.upper().strip(".+*#'\"!?")
    return plain in _WORDS or bool(_SMALL_NUMBER.fullmatch(plain)) or _is_kernel(word)


def _is_kernel(word: str) -> bool:
    return word.upper() in _KERNELS or bool(_KERNEL_CODE.fullmatch(word.upper()))
