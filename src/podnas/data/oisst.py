"""What is special to OISST: files that are filled over land, and the mask that they need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from podnas.data import grid
from podnas.data.files import opened
from podnas.data.headers import LONG_NAMES, Header

Ocean = NDArray[np.bool_]

FILLED_OVER_LAND = "sst.wkmean."
MASK_VARIABLES = ("mask", "lsmask")


def read_mask(path: Path, header: Header) -> Ocean:
    """Ocean cells (lat, lon) of a mask file, 1 = ocean, on the grid of the archive; refused if missing or different."""
    if not path.is_file():
        raise ValueError(
            f"the land-sea mask {path} is missing; PSL's weekly files are filled over land, so nothing can be read "
            "without it: get lsmask.nc from the folder of the weekly files, or set source.mask"
        )
    with opened(path, decode_times=False) as data:
        data = data.rename({old: new for old, new in LONG_NAMES.items() if old in data.variables or old in data.dims})
        name = next((name for name in MASK_VARIABLES if name in data.variables), None)
        if name is None:
            raise ValueError(f"{path} has no variable mask (1 = ocean); set source.mask to a land-sea mask")
        centres = [data[name].values for name in header.axes if name in data.variables]
        if len(centres) < 2:
            raise ValueError(
                f"the mask {path} has no {' and '.join(header.axes)}; set source.mask to the archive's own"
            )
        how = grid.difference(header.axes, centres, (header.rows, header.columns))
        if how is not None:
            raise ValueError(f"the mask {path} is not on the grid of {header.path}: {how}; use the archive's own mask")
        ocean: Ocean = data[name].squeeze(drop=True).transpose(*header.axes).values == 1
        return ocean


def check_unmasked(found: Sequence[Header]) -> None:
    """Refuse files known to be filled over land when no mask is given."""
    for header in found:
        if header.path.name.startswith(FILLED_OVER_LAND):
            raise ValueError(
                f"{header.path} is filled over land, so its own gaps are no mask; set source.mask to PSL's lsmask.nc"
            )
