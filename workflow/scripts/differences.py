"""Rule `differences`: forecasts with truth in; differences of ours from every baseline, with intervals, out.

Of a rolling protocol also on the test weeks of each protocol that is fitted once, and from what was fitted once.
Truth comes from the forecasts that rule `score` wrote: these forecasts have been scored, and stand in the ledger.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from podnas import artifacts, provenance, windows
from podnas.verify import differences


def main(
    train: Path,
    forecasts: Mapping[str, Path],
    once: Mapping[str, Mapping[str, Path]],
    ours: Sequence[str],
    found: Path,
) -> None:
    standard = windows.scaler(artifacts.read_windows(train, artifacts.TRAINING))
    read = {name: artifacts.read_forecast(path) for name, path in forecasts.items()}
    values = {name: standard.forward(one.forecast.values) for name, one in read.items()}
    baselines = {name: one for name, one in values.items() if name not in ours}
    table = differences.of_all(
        {name: values[name] for name in ours}, baselines, standard.forward(read["climatology"].truth.values)
    )
    of_periods = {name: periods(read, of_one, ours, standard) for name, of_one in once.items()}
    stamp = {name: str(value) for name, value in read["climatology"].attrs.items()}
    artifacts.write_json(found, {"stamp": stamp, **table} | ({"periods": of_periods} if once else {}))


def periods(
    read: Mapping[str, xr.Dataset], once: Mapping[str, Path], ours: Sequence[str], standard: windows.Scaler
) -> dict[str, object]:
    """What was refitted beside what was fitted once, on the weeks that both forecast."""
    fixed = {name: artifacts.read_forecast(path) for name, path in once.items()}
    common = np.intersect1d(read["climatology"].init_time.values, fixed["climatology"].init_time.values)

    def at(one: xr.Dataset, variable: str) -> windows.Array:
        return standard.forward(one[variable].sel(init_time=common).values)

    return differences.of_period(
        {name: at(read[name], "forecast") for name in fixed},
        {name: at(one, "forecast") for name, one in fixed.items()},
        ours,
        at(read["climatology"], "truth"),
    )


if __name__ == "__main__":
    with provenance.rule(snakemake):
        files = [Path(path) for path in snakemake.input.once]
        names = dict.fromkeys(path.parent.name for path in files)
        main(
            Path(snakemake.input.train),
            {Path(path).stem: Path(path) for path in snakemake.input.forecasts},
            {name: {path.stem: path for path in files if path.parent.name == name} for name in names},
            snakemake.params.ours,
            Path(snakemake.output.differences),
        )
