"""Field to basis and coefficients."""


rule pod:
    input:
        field=f"{RESULTS}/field/field.nc",
    output:
        basis=f"{RESULTS}/reduction/basis.nc",
        coefficients=f"{RESULTS}/reduction/coefficients.nc",
    log:
        f"{RESULTS}/logs/pod.log",
    benchmark:
        f"{RESULTS}/benchmarks/pod.tsv"
    conda:
        "../../envs/podnas.yaml"
    threads: 2
    resources:
        mem_mb=EXPERIMENT.resources.field_mem_mb,
        runtime=EXPERIMENT.resources.minutes,
    params:
        config=section("pod"),
        code=code("pod"),
    script:
        "../scripts/pod.py"


rule released:
    input:
        table="resources/sst_twin.nc",
        field=f"{RESULTS}/field/field.nc",
    output:
        basis=f"{RESULTS}/released/basis.nc",
        coefficients=f"{RESULTS}/released/coefficients.nc",
    log:
        f"{RESULTS}/logs/released.log",
    benchmark:
        f"{RESULTS}/benchmarks/released.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=EXPERIMENT.resources.field_mem_mb,
        runtime=EXPERIMENT.resources.minutes,
    params:
        code=code("released"),
    script:
        "../scripts/released.py"


rule agreement:
    input:
        projected=f"{RESULTS}/reduction/coefficients.nc",
        released=f"{RESULTS}/released/coefficients.nc",
    output:
        agreement=f"{RESULTS}/reduction/agreement.json",
    log:
        f"{RESULTS}/logs/agreement.log",
    benchmark:
        f"{RESULTS}/benchmarks/agreement.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=EXPERIMENT.resources.small_mem_mb,
        runtime=EXPERIMENT.resources.minutes,
    params:
        code=code("agreement"),
    script:
        "../scripts/agreement.py"
