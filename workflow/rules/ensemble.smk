"""Trained networks to the ensemble's forecast."""


rule ensemble:
    input:
        train=f"{RESULTS}/windows/{{origin}}/train.nc",
        test_inputs=f"{RESULTS}/windows/{{origin}}/test_inputs.nc",
        catalogue=lambda wildcards: f"{RESULTS}/networks/{RUNS.path(wildcards.origin, wildcards.system)}/catalogue.json",
    output:
        ensemble=f"{RESULTS}/predictions/{{origin}}/{{system}}_ensemble.nc",
        best=f"{RESULTS}/predictions/{{origin}}/{{system}}_best.nc",
        held_out=f"{RESULTS}/predictions/{{origin}}/{{system}}_held_out.nc",
    log:
        f"{RESULTS}/logs/ensemble_{{origin}}.{{system}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ensemble_{{origin}}.{{system}}.tsv"
    group:
        job_group("ensemble")
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("ensemble"),
    script:
        "../scripts/ensemble.py"


if EXPERIMENT.stack:

    rule complete_system:
        input:
            train=f"{RESULTS}/windows/{{origin}}/train.nc",
            test_inputs=f"{RESULTS}/windows/{{origin}}/test_inputs.nc",
            predictions=[
                f"{RESULTS}/predictions/{{origin}}/{name}.nc"
                for name in (
                    "climatology",
                    *EXPERIMENT.stack.methods,
                    *(f"{system}_ensemble" for system in EXPERIMENT.stacked_systems()),
                )
            ],
            held_out=[
                f"{RESULTS}/predictions/{{origin}}/{system}_held_out.nc" for system in EXPERIMENT.stacked_systems()
            ],
        output:
            complete=f"{RESULTS}/predictions/{{origin}}/complete_system.nc",
            linear=[f"{RESULTS}/predictions/{{origin}}/{name}.nc" for name in LINEAR],
            record=f"{RESULTS}/predictions/{{origin}}/complete_system.json",
        log:
            f"{RESULTS}/logs/complete_system_{{origin}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/complete_system_{{origin}}.tsv"
        group:
            job_group("complete_system")
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            config=section("stack"),
            baselines=section("baselines"),
            windows=section("windows"),
            code=code("complete_system"),
        script:
            "../scripts/complete_system.py"
