# archive files to the weekly field
FIELD_INPUT = {"files": ARCHIVE.files}
if ARCHIVE.mask is not None:
    FIELD_INPUT["mask"] = ARCHIVE.mask


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
    threads: 1
    resources:
        mem_mb=EXPERIMENT.resources.field_mem_mb,
        runtime=EXPERIMENT.resources.minutes,
    params:
        config=section("field"),
        source=section("source"),
        code=code("field"),
    script:
        "../scripts/field.py"
