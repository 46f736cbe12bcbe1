"""Training windows to trials, and the best of them to trained networks."""


rule search:
    input:
        train=training_windows,
    output:
        trials=f"{RESULTS}/search/{{run}}/trials.parquet",
    log:
        f"{RESULTS}/logs/search_{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/search_{{run}}.tsv"
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
        trial_logs=f"{RESULTS}/search/{{run}}/trials",
        config=own("search"),
        training=own("training"),
        windows=section("windows"),
        code=code("search"),
    script:
        "../scripts/search.py"


if SHARES > 1:

    # on a cluster, so many jobs train the members first; the rule retrain then finds them and makes the catalogue
    rule retrain_share:
        input:
            train=training_windows,
            trials=found,
        output:
            catalogue=temp(f"{RESULTS}/networks/{{run}}/share_{{share}}_of_{SHARES}.json"),
        log:
            f"{RESULTS}/logs/retrain_share_{{run}}.{{share}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/retrain_share_{{run}}.{{share}}.tsv"
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
            config=own("ensemble"),
            training=own("training"),
            windows=section("windows"),
            share=lambda wildcards: (int(wildcards.share), SHARES),
            code=code("retrain"),
        script:
            "../scripts/retrain.py"


rule retrain:
    input:
        shares=shares,
        train=training_windows,
        trials=found,
    output:
        catalogue=f"{RESULTS}/networks/{{run}}/catalogue.json",
    log:
        f"{RESULTS}/logs/retrain_{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/retrain_{{run}}.tsv"
    priority: 10
    group:
        job_group("retrain")
    conda:
        "../../envs/podnas.yaml"
    threads: training_cores
    resources:
        **layout.on_gpus(SITE, 1),
        mem_mb=memory,
        runtime=minutes,
        work=work,
    params:
        config=own("ensemble"),
        training=own("training"),
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
