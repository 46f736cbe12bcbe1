"""Rule `latest_windows`: the series in; training windows of all its weeks, and the last weeks as inputs, out."""

from datetime import date
from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import WindowsConfig


def main(coefficients: Path, train: Path, inputs: Path, first: date, config: WindowsConfig) -> None:
    training, last = windows.newest(artifacts.read_coefficients(coefficients), first, config)
    artifacts.write_windows(train, training, artifacts.TRAINING)
    artifacts.write_windows(inputs, last, artifacts.INPUTS)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.coefficients),
            Path(snakemake.output.train),
            Path(snakemake.output.test_inputs),
            date.fromisoformat(snakemake.params.first),
            WindowsConfig.model_validate(snakemake.params.config),
        )
