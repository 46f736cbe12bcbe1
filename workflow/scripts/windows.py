"""Rule `windows`: coefficients in; training windows, test inputs and test targets of one protocol out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import ProtocolConfig, WindowsConfig


def main(
    coefficients: Path,
    train: Path,
    test_inputs: Path,
    test_targets: Path,
    protocol: ProtocolConfig,
    config: WindowsConfig,
) -> None:
    training, inputs, targets = windows.split(artifacts.read_coefficients(coefficients), protocol, config)
    artifacts.write_windows(train, training, artifacts.TRAINING)
    artifacts.write_windows(test_inputs, inputs, artifacts.INPUTS)
    artifacts.write_windows(test_targets, targets, artifacts.TARGETS)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.coefficients),
            Path(snakemake.output.train),
            Path(snakemake.output.test_inputs),
            Path(snakemake.output.test_targets),
            ProtocolConfig.model_validate(snakemake.params.protocol),
            WindowsConfig.model_validate(snakemake.params.config),
        )
