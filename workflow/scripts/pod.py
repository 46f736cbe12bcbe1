"""Rule `pod`: a weekly field in, its POD basis and the coefficients of every week out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.config import PodConfig
from podnas.reduction import cluster, pod


def main(field: Path, basis: Path, coefficients: Path, config: PodConfig) -> None:
    with artifacts.open_field(field) as weekly, cluster.connect(config) as client:
        fitted = pod.fit(weekly, config, client, basis.parent)
        artifacts.write_basis(basis, fitted)
        artifacts.write_coefficients(coefficients, pod.project(weekly, fitted, config.memory_gb, client))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.field),
            Path(snakemake.output.basis),
            Path(snakemake.output.coefficients),
            PodConfig.model_validate(snakemake.params.config),
        )
