"""Archive files: made as a twin, taken from PSL, downloaded for a region, or at hand."""

if EXPERIMENT.source.kind == "twin":
    ARCHIVE_INPUT = {"table": "resources/sst_twin.nc"}
else:
    ARCHIVE_INPUT = {}

if EXPERIMENT.source.kind in ("twin", "psl"):

    rule archive:
        input:
            **ARCHIVE_INPUT,
        output:
            early=ARCHIVE.files[0],
            late=ARCHIVE.files[1],
            mask=ARCHIVE.mask,
        log:
            f"{RESULTS}/logs/archive.log",
        benchmark:
            f"{RESULTS}/benchmarks/archive.tsv"
        conda:
            "../../envs/podnas.yaml"
        threads: 1
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            config=section("source"),
            code=code("archive"),
        script:
            "../scripts/archive.py"


if EXPERIMENT.source.kind == "daymet_twin":

    rule daymet_twin:
        input:
            # real coefficients and mask, where the data folder has them
            **daymet_files.at_hand(archives.data_folder()),
            table="resources/sst_twin.nc",
        output:
            file=ARCHIVE.template,
        log:
            f"{RESULTS}/logs/daymet_twin.{{year}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/daymet_twin.{{year}}.tsv"
        wildcard_constraints:
            year=r"\d{4}",
        conda:
            "../../envs/podnas.yaml"
        threads: 1
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # a year more leaves the others as they are
            config=lambda wildcards: {
                **section("source", "kind", "variable", "residual_seed", "rows", "columns"),
                "years": [int(wildcards.year)] * 2,
            },
            code=code("daymet_twin"),
        script:
            "../scripts/daymet_twin.py"

elif ARCHIVE.template is not None:

    rule download:
        output:
            file=ARCHIVE.template,
        log:
            f"{RESULTS}/logs/download.{{year}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/download.{{year}}.tsv"
        wildcard_constraints:
            year=r"\d{4}",
        conda:
            "../../envs/podnas.yaml"
        threads: 1
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            config=lambda wildcards: {
                **section("source", "kind", "files", "download"),
                "download_years": [int(wildcards.year)] * 2,
            },
            code=code("download"),
        script:
            "../scripts/download.py"
