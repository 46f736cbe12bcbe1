"""Rule `download`: one year of a region from the publisher's subset service."""

from pathlib import Path

from podnas import provenance
from podnas.config import SourceConfig
from podnas.data import archive


def main(output: Path, year: int, config: SourceConfig) -> None:
    archive.fetch_year(config, year, output)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.output.file),
            int(snakemake.wildcards.year),
            SourceConfig.model_validate(snakemake.params.config),
        )
