"""Rule `archive`: PSL's two weekly files and lsmask.nc, made as a twin or taken from the publisher."""

from pathlib import Path

from podnas import provenance
from podnas.config import SourceConfig
from podnas.data import archive, twin


def main(table: Path | None, outputs: list[Path], config: SourceConfig) -> None:
    if table is None:
        archive.provide_psl(outputs)
    else:
        twin.write_archive(table, outputs[0].parent, config.residual_seed, config.captured_variance)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.table) if snakemake.input else None,
            [Path(output) for output in snakemake.output],
            SourceConfig.model_validate(snakemake.params.config),
        )
