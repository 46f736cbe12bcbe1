"""Rule `figure_coefficients`: coefficients and forecasts in, their course in time out."""

from collections.abc import Mapping
from pathlib import Path

from podnas import artifacts, provenance
from podnas.config import VerifyConfig
from podnas.figures import coefficients as picture
from podnas.figures import style


def main(coefficients: Path, forecasts: Mapping[str, Path], figure: Path, config: VerifyConfig) -> None:
    read = {method: artifacts.read_forecast(path) for method, path in forecasts.items()}
    stamps = [next(iter(read.values())).attrs]
    known = artifacts.read_coefficients(coefficients)
    style.save(picture.draw(known, read, config.map_lead_weeks, stamps), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.coefficients),
            {Path(path).stem: Path(path) for path in snakemake.input.forecasts},
            Path(snakemake.output.figure),
            VerifyConfig.model_validate(snakemake.params.config),
        )
