"""CPC's weekly Niño 3.4: its newest file, or the committed table."""

if EXPERIMENT.source.kind == podnas_config.INDEX:

    rule index:
        input:
            committed="resources/nino34_weekly.csv",
        output:
            coefficients=COEFFICIENTS,
            table=f"{RESULTS}/index/table.parquet",
        log:
            f"{RESULTS}/logs/index.log",
        benchmark:
            f"{RESULTS}/benchmarks/index.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            newest=EXPERIMENT.source.newest,
            code=code("index"),
        script:
            "../scripts/index.py"
