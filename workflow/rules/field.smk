# archive files to the weekly field: at once, or year by year
from podnas.data import products

MASK_INPUT = {} if ARCHIVE.mask is None else {"mask": ARCHIVE.mask}

if EXPERIMENT.field.by_year:
    CHOSEN = EXPERIMENT.source, EXPERIMENT.field
    YEARS = products.years(ARCHIVE.files, EXPERIMENT.field)
    FIELD_INPUT = {"years": [f"{RESULTS}/field/coarse.{year}.nc" for year in YEARS]}

    rule coarse:
        input:
            **MASK_INPUT,
            files=lambda wildcards: YEARS[int(wildcards.year)],
        output:
            field=f"{RESULTS}/field/coarse.{{year}}.nc",
        log:
            f"{RESULTS}/logs/coarse.{{year}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/coarse.{{year}}.tsv"
        wildcard_constraints:
            year=r"\d{4}",
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.coarse_threads
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # a year more, or a file less elsewhere, leaves this one as it is
            config=lambda wildcards: products.settings(YEARS, int(wildcards.year), *CHOSEN)["field"],
            source=lambda wildcards: products.settings(YEARS, int(wildcards.year), *CHOSEN)["source"],
            part=lambda wildcards: products.part(YEARS, int(wildcards.year), EXPERIMENT.field),
            code=code("coarse"),
        script:
            "../scripts/coarse.py"

else:
    FIELD_INPUT = {"files": ARCHIVE.files, **MASK_INPUT}


rule field:
    input:
        **FIELD_INPUT,
    output:
        field=f"{RESULTS}/field/field.nc",
    log:
        f"{RESULTS}/logs/field.log",
    benchmark:
        f"{RESULTS}/benchmarks/field.tsv"
    conda:
        "../../envs/podnas.yaml"
    threads: 1 if EXPERIMENT.field.by_year else EXPERIMENT.resources.coarse_threads
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        config=section("field"),
        source=section("source", "variable", "ice", "joins"),
        code=code("field"),
    script:
        "../scripts/field.py"
