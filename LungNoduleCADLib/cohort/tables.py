"""All scans and all nodules of a cohort as two tables: CSV, and Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.lung_rads import LungRadsCategory
from LungNoduleCADLib.domain.nodule import Review
from LungNoduleCADLib.domain.quality import Severity
from LungNoduleCADLib.json_file import read_json
from LungNoduleCADLib.report.findings_json import FILE_NAME as FINDINGS
from LungNoduleCADLib.report.folder import exchange
from LungNoduleCADLib.report.write import RUN_FILE

Row = dict[str, Any]
SCANS, NODULES = "scans", "nodules"

# column: type. Neither path, name nor UID is in them.
SCAN_COLUMNS: dict[str, type] = {
    "id": str,
    "status": str,
    "error": str,
    "tries": int,
    "lung_rads": str,
    "lung_rads_rule": str,
    "nodules": int,
    "most_suspicious": str,
    "largest_mean_diameter_mm": float,
    "highest_malignancy": float,
    "new_or_growing": int,
    "days_since_prior": int,
    "study_date": str,
    "slices": int,
    "slice_spacing_mm": float,
    "serious_flags": str,
    "warnings": str,
    "software_version": str,
    "seconds": float,
    "peak_memory_mb": float,
}
NODULE_COLUMNS: dict[str, type] = {
    "id": str,
    "nodule": str,
    "review": str,
    "lung_rads": str,
    "type": str,
    "side": str,
    "zone": str,
    "lobe": str,
    "centroid_l_mm": float,
    "centroid_p_mm": float,
    "centroid_s_mm": float,
    "mean_diameter_mm": float,
    "long_axis_mm": float,
    "short_axis_mm": float,
    "solid_mean_diameter_mm": float,
    "volume_mm3": float,
    "mass_mg": float,
    "mean_hu": float,
    "detection_probability": float,
    "malignancy": float,
    "malignancy_spread_low": float,
    "malignancy_spread_high": float,
    "change": str,
    "volume_change_percent": float,
    "vdt_days": float,
    "flags": str,
}


def rows_of_result(out: Path) -> tuple[Row, tuple[Row, ...]]:
    """The row of a results folder among the scans, and those of its nodules; the folder's name is the id."""
    findings, run = read_json(out / FINDINGS), read_json(out / RUN_FILE)
    matches = {match["current_id"]: match for match in (findings["comparison"] or {}).get("matches", ())}
    nodules = tuple(_nodule_row(out.name, nodule, matches.get(nodule["id"], {})) for nodule in findings["nodules"])
    counted = [row for row in nodules if row["review"] != Review.REJECTED]
    assessed, geometry = findings["lung_rads"] or {}, findings["geometry"]
    flags = findings["quality_flags"]
    return {
        "id": out.name,
        "lung_rads": assessed.get("category"),
        "lung_rads_rule": assessed.get("rule_id"),
        "nodules": len(counted),
        "most_suspicious": min(counted, key=suspicion)["nodule"] if counted else None,
        "largest_mean_diameter_mm": _highest(row["mean_diameter_mm"] for row in counted),
        "highest_malignancy": _highest(row["malignancy"] for row in counted),
        "new_or_growing": sum(row["change"] in (Change.NEW, Change.GROWING) for row in counted),
        "days_since_prior": (findings["comparison"] or {}).get("interval_days"),
        "study_date": findings["series"]["study_date"],
        "slices": geometry["shape_kji"][0],
        "slice_spacing_mm": geometry["spacing_kji_mm"][0],
        "serious_flags": _codes(flags, Severity.SERIOUS),
        "warnings": _codes(flags, Severity.WARNING),
        "software_version": findings["provenance"]["software_version"],
        "peak_memory_mb": run.get("peak_memory_mb"),
    }, nodules


def _nodule_row(scan_id: str, nodule: dict[str, Any], match: dict[str, Any]) -> Row:
    malignancy = nodule["malignancy"]
    low, high = malignancy["spread_95"] or (None, None)
    left, posterior, superior = (round(value, 2) for value in nodule["centroid_lps_mm"])
    same = {key: nodule[key] for key in NODULE_COLUMNS if key in nodule}
    return same | {
        "id": scan_id,
        "nodule": nodule["id"],
        "centroid_l_mm": left,
        "centroid_p_mm": posterior,
        "centroid_s_mm": superior,
        "malignancy": malignancy["probability"],
        "malignancy_spread_low": low,
        "malignancy_spread_high": high,
        "change": match.get("change"),
        "volume_change_percent": match.get("volume_change_percent"),
        "vdt_days": match.get("vdt_days") if match.get("change") == Change.GROWING else None,
        "flags": ";".join(flag["code"] for flag in nodule["flags"]),
    }


def suspicion(row: Row) -> tuple[float, float, float]:
    """Sorts rows of scans or of nodules, most suspicious first; an incomplete exam before 2, no category last."""
    category = row.get("lung_rads")
    rank: float = LungRadsCategory(category).suspicion if category else -1
    if category == LungRadsCategory.C0:
        rank = LungRadsCategory.C3.suspicion - 0.5
    malignancy = row.get("malignancy", row.get("highest_malignancy"))
    diameter = row.get("mean_diameter_mm", row.get("largest_mean_diameter_mm"))
    return -rank, -(malignancy or 0.0), -(diameter or 0.0)


def write_tables(folder: Path, scans: Iterable[Row], nodules: Iterable[Row]) -> None:
    """``scans`` and ``nodules`` as .csv and, where pyarrow is installed, as .parquet; each exchanged in one step."""
    for name, columns, rows in ((SCANS, SCAN_COLUMNS, list(scans)), (NODULES, NODULE_COLUMNS, list(nodules))):
        exchange(folder / f"{name}.csv", lambda path, c=columns, r=rows: write_csv(path, c, r))
        if has_parquet():
            exchange(folder / f"{name}.parquet", lambda path, c=columns, r=rows: _write_parquet(path, c, r))


def has_parquet() -> bool:
    """Whether pyarrow is installed, so that tables are written as Parquet, too."""
    return find_spec("pyarrow") is not None


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: Path, columns: dict[str, type], rows: list[Row]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    values = {name: [_as(kind, row.get(name)) for row in rows] for name, kind in columns.items()}
    parquet.write_table(pa.table(values, schema=schema), path)


def _as(kind: type, value: Any) -> Any:
    return None if value is None else kind(value)


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _codes(flags: list[dict[str, Any]], severity: Severity) -> str:
    return ";".join(flag["code"] for flag in flags if flag["severity"] == severity)
