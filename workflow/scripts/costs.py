"""Rule `costs`: Snakemake's benchmark files in, time and memory of every rule as one table out."""

from pathlib import Path

import pandas as pd

from podnas import artifacts, provenance
from podnas.verify import page

COLUMNS = {"s": "wall_seconds", "cpu_time": "cpu_seconds", "max_rss": "peak_memory_mb"}


def main(benchmarks: Path, costs: Path, as_html: Path) -> None:
    files = sorted(benchmarks.rglob("*.tsv"))
    rows = [pd.read_csv(file, sep="\t")[list(COLUMNS)].mean().rename(job(file, benchmarks)) for file in files]
    jobs = pd.DataFrame(rows).rename(columns=COLUMNS).rename_axis("job").groupby("job")
    table = jobs.agg({"wall_seconds": "sum", "cpu_seconds": "sum", "peak_memory_mb": "max"}).reset_index()
    ordered = table.sort_values("cpu_seconds", ascending=False)
    artifacts.write_text(costs, ordered.to_csv(index=False, float_format="%.1f"))
    artifacts.write_text(as_html, page.html("Costs", ordered.to_markdown(index=False, floatfmt=".1f")))


def job(file: Path, benchmarks: Path) -> str:
    """Name of a job; all refits of a rolling protocol are one."""
    parts = file.relative_to(benchmarks).with_suffix("").parts
    return "/".join(part for part in parts if not part.split(".")[0].isdigit())


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.params.benchmarks), Path(snakemake.output.costs), Path(snakemake.output.html))
