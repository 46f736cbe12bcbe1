"""Rule `field`: archive files in, the weekly field out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.config import FieldConfig, SourceConfig
from podnas.data import field


def main(files: list[Path], mask: Path | None, output: Path, source: SourceConfig, config: FieldConfig) -> None:
    artifacts.write_field(output, field.build(files, mask, source, config))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            [Path(file) for file in snakemake.input.files],
            Path(snakemake.input.mask) if snakemake.input.get("mask") else None,
            Path(snakemake.output.field),
            SourceConfig.model_validate(snakemake.params.source),
            FieldConfig.model_validate(snakemake.params.config),
        )
