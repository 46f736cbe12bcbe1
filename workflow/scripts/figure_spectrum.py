"""Rule `figure_spectrum`: a POD basis in, the picture of its spectrum out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.figures import spectrum, style


def main(
    basis: Path, train: Sequence[Path], test_inputs: Sequence[Path], figure: Path, stamps: Sequence[Mapping[str, Any]]
) -> None:
    full = [
        windows.stamped(
            stamp, artifacts.read_windows(one, artifacts.TRAINING), artifacts.read_windows(two, artifacts.INPUTS)
        )
        for stamp, one, two in zip(stamps, train, test_inputs, strict=True)
    ]
    style.save(spectrum.draw(artifacts.read_basis(basis), full), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.basis),
            [Path(path) for path in snakemake.input.train],
            [Path(path) for path in snakemake.input.test_inputs],
            Path(snakemake.output.figure),
            snakemake.params.stamps,
        )
