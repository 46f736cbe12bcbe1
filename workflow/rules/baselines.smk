"""Windows to forecasts of the methods to beat."""


rule baselines:
    input:
        train=f"{RESULTS}/windows/{{origin}}/train.nc",
        test_inputs=f"{RESULTS}/windows/{{origin}}/test_inputs.nc",
    output:
        **{name: f"{RESULTS}/predictions/{{origin}}/{name}.nc" for name in podnas_config.BASELINES},
    log:
        f"{RESULTS}/logs/baselines_{{origin}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/baselines_{{origin}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        config=section("baselines"),
        windows=section("windows"),
        code=code("baselines"),
    script:
        "../scripts/baselines.py"


rule manual_networks:
    input:
        train=f"{RESULTS}/windows/{{origin}}/train.nc",
        test_inputs=f"{RESULTS}/windows/{{origin}}/test_inputs.nc",
    output:
        **{name: f"{RESULTS}/predictions/{{origin}}/{name}.nc" for name in MANUAL},
    log:
        f"{RESULTS}/logs/manual_networks_{{origin}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/manual_networks_{{origin}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    threads: training_cores
    resources:
        mem_mb=memory,
        runtime=minutes,
        work=work,
    params:
        config=section("baselines"),
        training=section("training"),
        windows=section("windows"),
        code=code("manual_networks"),
    script:
        "../scripts/manual_networks.py"
