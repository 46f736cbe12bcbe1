"""The outlook for Niño 3.4, where one is asked for: its forecast, and its record over past years.

The sealed weeks are scored by nothing unless outlook.open_sealed says so, and then by the file that is named only.
"""

OUTLOOK = EXPERIMENT.outlook

if OUTLOOK is not None:
    PERIODS = {name: EXPERIMENT.protocol(name) for name in (OUTLOOK.protocol, OUTLOOK.sealed)}
    SCORED = [OUTLOOK.protocol] + ([OUTLOOK.sealed] if OUTLOOK.open_sealed else [])
    OF_THE_INDEX = {
        "coefficients": "none, the index itself",
        "seeds": f"search {EXPERIMENT.search.seed}, networks {OUTLOOK.seed}",
    }

    rule latest_windows:
        input:
            coefficients=COEFFICIENTS,
        output:
            train=f"{RESULTS}/windows/latest/train.nc",
            test_inputs=f"{RESULTS}/windows/latest/test_inputs.nc",
        log:
            f"{RESULTS}/logs/latest_windows.log",
        benchmark:
            f"{RESULTS}/benchmarks/latest_windows.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            first=str(PERIODS[OUTLOOK.sealed].train_first),
            config=section("windows"),
            code=code("latest_windows"),
        script:
            "../scripts/latest_windows.py"

    rule outlook_search:
        input:
            train=f"{RESULTS}/windows/{OUTLOOK.protocol}/train.nc",
        output:
            trials=f"{RESULTS}/search/trials.parquet",
        log:
            f"{RESULTS}/logs/outlook_search.log",
        benchmark:
            f"{RESULTS}/benchmarks/outlook_search.tsv"
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.search_threads
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # not an output: Snakemake deletes the outputs of a job that failed, and these are what it goes on from
            logs=f"{RESULTS}/search/logs",
            config=section("search"),
            training=section("training"),
            windows=section("windows"),
            code=code("outlook_search"),
        script:
            "../scripts/outlook_search.py"

    rule outlook_forecast:
        input:
            train=f"{RESULTS}/windows/{{fitted}}/train.nc",
            test_inputs=f"{RESULTS}/windows/{{fitted}}/test_inputs.nc",
            trials=f"{RESULTS}/search/trials.parquet",
        output:
            forecasts=f"{RESULTS}/forecasts/{{fitted}}.nc",
            members=f"{RESULTS}/forecasts/{{fitted}}.json",
        log:
            f"{RESULTS}/logs/outlook_forecast_{{fitted}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/outlook_forecast_{{fitted}}.tsv"
        wildcard_constraints:
            fitted="|".join(["latest", *PERIODS]),
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.search_threads
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # not an output, as above
            folder=f"{RESULTS}/networks/{{fitted}}",
            config=section("outlook", "architectures", "epochs", "members", "seed"),
            training=section("training"),
            windows=section("windows"),
            baselines=section("baselines", "climatology_harmonics"),
            # blocks of all weeks lie among the sealed ones, too
            told=lambda wildcards: wildcards.fitted != "latest",
            code=code("outlook_forecast"),
        script:
            "../scripts/outlook_forecast.py"

    rule outlook_score:
        input:
            forecasts=f"{RESULTS}/forecasts/{{scored}}.nc",
            members=f"{RESULTS}/forecasts/{{scored}}.json",
            train=f"{RESULTS}/windows/{{scored}}/train.nc",
            test_targets=f"{RESULTS}/windows/{{scored}}/test_targets.nc",
            table=f"{RESULTS}/index/table.parquet",
        output:
            json=f"{RESULTS}/{{scored}}.json",
            page=f"{RESULTS}/{{scored}}.md",
            html=report(f"{RESULTS}/{{scored}}.html", caption="../report/outlook_table.rst", category="Outlook"),
        log:
            f"{RESULTS}/logs/outlook_score_{{scored}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/outlook_score_{{scored}}.tsv"
        wildcard_constraints:
            scored="|".join(SCORED),
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            ledger=f"{RESULTS}/ledger.jsonl",
            threshold=OUTLOOK.threshold,
            harmonics=EXPERIMENT.baselines.climatology_harmonics,
            stamp=lambda wildcards: {**stamp(wildcards.scored), **OF_THE_INDEX},
            sealed=lambda wildcards: wildcards.scored == OUTLOOK.sealed,
            title=EXPERIMENT.title,
            code=code("outlook_score"),
        script:
            "../scripts/outlook_score.py"

    rule outlook:
        input:
            forecasts=f"{RESULTS}/forecasts/latest.nc",
            members=f"{RESULTS}/forecasts/latest.json",
            train=f"{RESULTS}/windows/latest/train.nc",
            table=f"{RESULTS}/index/table.parquet",
            record=f"{RESULTS}/{OUTLOOK.protocol}.json",
        output:
            json=f"{RESULTS}/outlook.json",
            page=f"{RESULTS}/outlook.md",
            html=report(f"{RESULTS}/outlook.html", caption="../report/outlook_table.rst", category="Outlook"),
        log:
            f"{RESULTS}/logs/outlook.log",
        benchmark:
            f"{RESULTS}/benchmarks/outlook.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            threshold=OUTLOOK.threshold,
            harmonics=EXPERIMENT.baselines.climatology_harmonics,
            stamp={
                "experiment": EXPERIMENT.experiment,
                "protocol": "latest",
                **OF_THE_INDEX,
            },
            title=EXPERIMENT.title,
            code=code("outlook"),
        script:
            "../scripts/outlook.py"

    rule figure_outlook:
        input:
            json=f"{RESULTS}/outlook.json",
        output:
            figure=report(f"{RESULTS}/figures/outlook.png", caption="../report/outlook.rst", category="Outlook"),
        log:
            f"{RESULTS}/logs/figure_outlook.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_outlook.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_outlook"),
        script:
            "../scripts/figure_outlook.py"

    rule figure_outlook_record:
        input:
            json=f"{RESULTS}/{{scored}}.json",
        output:
            figure=report(
                f"{RESULTS}/figures/outlook_{{scored}}.png",
                caption="../report/outlook_record.rst",
                category="Outlook",
            ),
        log:
            f"{RESULTS}/logs/figure_outlook_{{scored}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_outlook_{{scored}}.tsv"
        wildcard_constraints:
            scored="|".join(SCORED),
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_outlook_record"),
        script:
            "../scripts/figure_outlook_record.py"
