"""Trained networks to the ensemble's forecast."""


rule ensemble:
    input:
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
        catalogue=f"{RESULTS}/networks/{{protocol}}/catalogue.json",
    output:
        recurrent_ensemble=f"{RESULTS}/predictions/{{protocol}}/recurrent_ensemble.nc",
        recurrent_best=f"{RESULTS}/predictions/{{protocol}}/recurrent_best.nc",
    log:
        f"{RESULTS}/logs/ensemble_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ensemble_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("ensemble"),
    script:
        "../scripts/ensemble.py"
