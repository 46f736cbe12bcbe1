"""Rule `field_forecast`: coefficient forecasts and a basis in, forecasts of one lead as fields out."""

from pathlib import Path

import numpy as np
import xarray as xr

from podnas import artifacts, provenance
from podnas.reduction import pod


def main(forecast: Path, basis: Path, field: Path, lead: int) -> None:
    coefficients, fitted = artifacts.read_forecast(forecast), artifacts.read_basis(basis)
    if lead not in coefficients.lead:
        raise ValueError(f"lead {lead} is not forecast; leads are 1 to {int(coefficients.lead.max())} weeks")
    chosen = coefficients.forecast.sel(lead=lead)
    sst = pod.reconstruct(chosen.values, fitted).astype(np.float32)
    attrs = {"units": "degree_Celsius", "standard_name": "sea_surface_temperature", "cell_methods": "time: mean"}
    coords = {"init_time": chosen.init_time, "valid_time": chosen.valid_time, "lat": fitted.lat, "lon": fitted.lon}
    made = xr.Dataset({"sst": (("init_time", "lat", "lon"), sst, attrs)}, {**coords, "lead": lead}, coefficients.attrs)
    artifacts.write_forecast_field(field, made)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.forecast),
            Path(snakemake.input.basis),
            Path(snakemake.output.field),
            int(snakemake.wildcards.lead),
        )
