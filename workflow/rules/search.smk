"""Training windows to trials, and the best of them to trained networks."""


rule search:
    input:
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
    output:
        trials=f"{RESULTS}/search/{{protocol}}/trials.parquet",
    log:
        f"{RESULTS}/logs/search_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/search_{{protocol}}.tsv"
    priority: 10
    retries: RESUBMISSIONS
    conda:
        "../../envs/podnas.yaml"
    threads: SEARCH.cores
    resources:
        **SEARCH.resources,
        **{key: search_request(key) for key in ("runtime", *SEARCH.memory(0, 1))},
        work=work,
    params:
        # not an output: Snakemake deletes the outputs of a job that failed, and the log is what a search resumes from
        trial_logs=f"{RESULTS}/search/{{protocol}}/trials",
        config=section("search"),
        training=section("training"),
        windows=section("windows"),
        code=code("search"),
    script:
        "../scripts/search.py"


if SHARES > 1:

    # on a cluster, so many jobs train the members first; the rule retrain then finds them and makes the catalogue
    rule retrain_share:
        input:
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
            trials=f"{RESULTS}/search/{{protocol}}/trials.parquet",
        output:
            catalogue=temp(f"{RESULTS}/networks/{{protocol}}/share_{{share}}_of_{SHARES}.json"),
        log:
            f"{RESULTS}/logs/retrain_share_{{protocol}}.{{share}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/retrain_share_{{protocol}}.{{share}}.tsv"
        wildcard_constraints:
            share=r"\d+",
        priority: 10
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.search_threads
        resources:
            **layout.on_gpus(SITE, 1),
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            config=section("ensemble"),
            training=section("training"),
            windows=section("windows"),
            share=lambda wildcards: (int(wildcards.share), SHARES),
            code=code("retrain"),
        script:
            "../scripts/retrain.py"


rule retrain:
    input:
        shares=[f"{RESULTS}/networks/{{protocol}}/share_{k}_of_{SHARES}.json" for k in range(SHARES) if SHARES > 1],
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        trials=f"{RESULTS}/search/{{protocol}}/trials.parquet",
    output:
        catalogue=f"{RESULTS}/networks/{{protocol}}/catalogue.json",
    log:
        f"{RESULTS}/logs/retrain_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/retrain_{{protocol}}.tsv"
    priority: 10
    conda:
        "../../envs/podnas.yaml"
    threads: EXPERIMENT.resources.search_threads
    resources:
        **(layout.on_gpus(SITE, 1) if SHARES == 1 else {}),
        mem_mb=memory,
        runtime=minutes,
        work=work,
    params:
        config=section("ensemble"),
        training=section("training"),
        windows=section("windows"),
        code=code("retrain"),
    script:
        "../scripts/retrain.py"


rule two_step:
    input:
        trials=f"{RESULTS}/search/{{protocol}}/trials.parquet",
    output:
        report=f"{RESULTS}/search/{{protocol}}/two_step.json",
        html=report(
            f"{RESULTS}/search/{{protocol}}/two_step.html", caption="../report/two_step_report.rst", category="Search"
        ),
    log:
        f"{RESULTS}/logs/two_step_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/two_step_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("two_step"),
    script:
        "../scripts/two_step.py"
