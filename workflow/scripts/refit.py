"""Rule `refit`: coefficients and a rolling protocol's test inputs in; windows of one of its refits out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import ProtocolConfig, WindowsConfig


def main(
    coefficients: Path,
    test_inputs: Path,
    train: Path,
    forecast_inputs: Path,
    protocol: ProtocolConfig,
    config: WindowsConfig,
    years: range,
) -> None:
    past, inputs = windows.refit(
        artifacts.read_coefficients(coefficients),
        artifacts.read_windows(test_inputs, artifacts.INPUTS),
        protocol,
        config,
        years,
    )
    artifacts.write_windows(train, past, artifacts.TRAINING)
    artifacts.write_windows(forecast_inputs, inputs, artifacts.INPUTS)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = ProtocolConfig.model_validate(snakemake.params.protocol)
        first = int(snakemake.wildcards.year)
        main(
            Path(snakemake.input.coefficients),
            Path(snakemake.input.test_inputs),
            Path(snakemake.output.train),
            Path(snakemake.output.test_inputs),
            given,
            WindowsConfig.model_validate(snakemake.params.config),
            range(first, first + given.rolling.every_years),
        )
