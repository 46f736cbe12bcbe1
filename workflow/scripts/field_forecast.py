"""Rule `field_forecast`: coefficient forecasts and a basis in, forecasts of one lead as fields out."""

from pathlib import Path

import numpy as np
import xarray as xr

from podnas import artifacts, provenance
from podnas.data import variables
from podnas.reduction import pod


def main(forecast: Path, basis: Path, field: Path, lead: int) -> None:
    coefficients, fitted = artifacts.read_forecast(forecast), artifacts.read_basis(basis)
    if lead not in coefficients.lead:
        raise ValueError(f"lead {lead} is not forecast; leads are 1 to {int(coefficients.lead.max())} weeks")
    chosen = coefficients.forecast.sel(lead=lead)
    values = pod.reconstruct(chosen.values, fitted).astype(np.float32)
    variable, dims = variables.of(fitted), ("init_time", *artifacts.grid_dims(fitted))
    attrs = {**variable.attributes(), "cell_methods": "time: mean"}
    del attrs["cell_measures"]  # the area stays with the basis
    coords = {"init_time": chosen.init_time, "valid_time": chosen.valid_time, **artifacts.grid_coords(fitted)}
    made = xr.Dataset({variable.name: (dims, values, attrs)}, {**coords, "lead": lead}, coefficients.attrs)
    artifacts.write_forecast_field(field, made)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.forecast),
            Path(snakemake.input.basis),
            Path(snakemake.output.field),
            int(snakemake.wildcards.lead),
        )
