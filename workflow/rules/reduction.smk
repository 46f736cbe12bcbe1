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
        mem_mb=memory,
        runtime=minutes,
    params:
        config=section("pod"),
        code=code("pod"),
    script:
        "../scripts/pod.py"


if EXPERIMENT.source.kind == "daymet_twin":

    # apart: the coefficients come from no field, so a changed archive file trains no network again
    rule daymet_coefficients:
        input:
            **daymet_files.at_hand(archives.data_folder()),
        output:
            coefficients=f"{RESULTS}/released/coefficients.nc",
        log:
            f"{RESULTS}/logs/daymet_coefficients.log",
        benchmark:
            f"{RESULTS}/benchmarks/daymet_coefficients.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            source=section("source"),
            field=section("field"),
            modes=EXPERIMENT.pod.modes,
            title=f"DayMet tmax, weekly means of daily coefficients: {coefficients_kind()}",
            code=code("daymet_coefficients"),
        script:
            "../scripts/daymet_coefficients.py"

    rule daymet_basis:
        input:
            field=f"{RESULTS}/field/field.nc",
            coefficients=f"{RESULTS}/released/coefficients.nc",
        output:
            basis=f"{RESULTS}/released/basis.nc",
        log:
            f"{RESULTS}/logs/daymet_basis.log",
        benchmark:
            f"{RESULTS}/benchmarks/daymet_basis.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            train_last=str(EXPERIMENT.pod.train_last),
            code=code("daymet_basis"),
        script:
            "../scripts/daymet_basis.py"

else:

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
            mem_mb=memory,
            runtime=minutes,
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
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("agreement"),
    script:
        "../scripts/agreement.py"
