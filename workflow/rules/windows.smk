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
