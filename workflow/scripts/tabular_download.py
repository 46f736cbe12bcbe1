"""Rule `tabular_download`: the published text files of a set, put together as NAME.npz."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.data import uci


def main(name: str, address: str, texts: Path, output: Path) -> None:
    uci.fetch(name, address, texts)
    artifacts.write_arrays(output, uci.assemble(name, texts), {"set": name, "origin": address})


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            snakemake.wildcards.table,
            snakemake.params.config["download"],
            Path(snakemake.params.texts),
            Path(snakemake.output.data),
        )
