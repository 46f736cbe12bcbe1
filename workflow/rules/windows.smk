"""Coefficients to windows."""


rule windows:
    input:
        coefficients=COEFFICIENTS,
    output:
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
        test_targets=f"{RESULTS}/windows/{{protocol}}/test_targets.nc",
    log:
        f"{RESULTS}/logs/windows_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/windows_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        config=section("windows"),
        protocol=lambda wildcards: EXPERIMENT.protocol(wildcards.protocol).model_dump(mode="json"),
        code=code("windows"),
    script:
        "../scripts/windows.py"


if ROLLING:

    rule refit:
        input:
            coefficients=COEFFICIENTS,
            test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
        output:
            train=f"{RESULTS}/windows/{{protocol}}/{{year}}/train.nc",
            test_inputs=f"{RESULTS}/windows/{{protocol}}/{{year}}/test_inputs.nc",
        log:
            f"{RESULTS}/logs/refit_{{protocol}}/{{year}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/refit_{{protocol}}/{{year}}.tsv"
        wildcard_constraints:
            protocol="|".join(ROLLING),
            year=r"\d+",
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            config=section("windows"),
            protocol=lambda wildcards: EXPERIMENT.protocol(wildcards.protocol).model_dump(mode="json"),
            code=code("refit"),
        script:
            "../scripts/refit.py"

    rule rolling:
        input:
            **{
                name: lambda wildcards, name=name: [
                    f"{RESULTS}/predictions/{origin}/{name}.nc" for origin in RUNS.origins(wildcards.protocol)
                ]
                for name in METHODS
            },
        output:
            **{name: f"{RESULTS}/predictions/{{protocol}}/{name}.nc" for name in METHODS},
        log:
            f"{RESULTS}/logs/rolling_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/rolling_{{protocol}}.tsv"
        wildcard_constraints:
            protocol="|".join(ROLLING),
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("rolling"),
        script:
            "../scripts/rolling.py"
