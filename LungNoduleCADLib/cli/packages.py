"""Versions of the packages that results depend on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "torch",
    "monai",
    "SimpleITK",
    "pydicom",
    "pyradiomics",
    "pyradiomics-cuda",
    "xgboost",
    "xgboost-cpu",
    "scikit-learn",
    "numpy",
    "scipy",
    "reportlab",
)


def package_versions() -> dict[str, str]:
    """{name: version} of those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
