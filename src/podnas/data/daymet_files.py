"""The files of DayMet's real coefficients and mask, where the data folder has them."""

from __future__ import annotations

from pathlib import Path

COEFFICIENTS, MASK = "daymet_coefficients.npz", "daymet_10km_mask_flat.npy"


def real_coefficients(data_folder: Path | None) -> Path | None:
    """The file of DayMet's real coefficients, where the data folder has it."""
    return _found(data_folder, COEFFICIENTS)


def real_mask(data_folder: Path | None) -> Path | None:
    """The file of DayMet's real mask, likewise."""
    return _found(data_folder, MASK)


def at_hand(data_folder: Path | None) -> dict[str, str]:
    """Those that the data folder has: their paths by their names."""
    found = (_found(data_folder, name) for name in (COEFFICIENTS, MASK))
    return {path.stem: str(path) for path in found if path is not None}


def _found(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None and (folder / name).is_file() else None
