"""Rule `differences`: forecasts with truth in; differences of ours from every baseline, with intervals, out.

Truth comes from the forecasts that rule `score` wrote: these forecasts have been scored, and stand in the ledger.
"""

from collections.abc import Mapping
from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.verify import differences


def main(train: Path, ours: Mapping[str, Path], baselines: Mapping[str, Path], found: Path) -> None:
    standard = windows.scaler(artifacts.read_windows(train, artifacts.TRAINING))
    read = {name: artifacts.read_forecast(path) for name, path in {**ours, **baselines}.items()}
    forecasts = {name: standard.forward(one.forecast.values) for name, one in read.items()}
    truth = standard.forward(read["climatology"].truth.values)
    table = differences.of_all(
        {name: forecasts[name] for name in ours}, {name: forecasts[name] for name in baselines}, truth
    )
    stamp = {name: str(value) for name, value in read["climatology"].attrs.items()}
    artifacts.write_json(found, {"stamp": stamp, **table})


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            {Path(path).stem: Path(path) for path in snakemake.input.ours},
            {Path(path).stem: Path(path) for path in snakemake.input.baselines},
            Path(snakemake.output.differences),
        )
