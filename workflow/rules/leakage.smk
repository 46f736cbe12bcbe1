"""The leakage laboratory, where one is asked for: SC20's protocol as it was released beside the clean one.

It reads test weeks on purpose, so nothing of it is an input of another rule, and an experiment that has it has nothing
else.
"""

LEAKAGE = EXPERIMENT.leakage

if LEAKAGE is not None:

    rule leakage:
        input:
            coefficients=COEFFICIENTS,
            train=f"{RESULTS}/windows/{LEAKAGE.protocol}/train.nc",
            test_inputs=f"{RESULTS}/windows/{LEAKAGE.protocol}/test_inputs.nc",
        output:
            forecasts=f"{RESULTS}/laboratory/forecasts.nc",
            networks=f"{RESULTS}/laboratory/networks.json",
        log:
            f"{RESULTS}/logs/leakage.log",
        benchmark:
            f"{RESULTS}/benchmarks/leakage.tsv"
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.search_threads
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # not an output: Snakemake deletes the outputs of a job that failed, and these are what it goes on from
            folder=f"{RESULTS}/laboratory/networks",
            config=section("leakage"),
            protocol=EXPERIMENT.protocol(LEAKAGE.protocol).model_dump(mode="json"),
            training=section("training"),
            windows=section("windows"),
            code=code("leakage"),
        script:
            "../scripts/leakage.py"

    rule leakage_score:
        input:
            forecasts=f"{RESULTS}/laboratory/forecasts.nc",
            networks=f"{RESULTS}/laboratory/networks.json",
            train=f"{RESULTS}/windows/{LEAKAGE.protocol}/train.nc",
            test_targets=f"{RESULTS}/windows/{LEAKAGE.protocol}/test_targets.nc",
        output:
            json=f"{RESULTS}/leakage.json",
            page=f"{RESULTS}/leakage.md",
            html=report(f"{RESULTS}/leakage.html", caption="../report/leakage_table.rst", category="Leakage laboratory"),
        log:
            f"{RESULTS}/logs/leakage_score.log",
        benchmark:
            f"{RESULTS}/benchmarks/leakage_score.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            ledger=f"{RESULTS}/ledger.jsonl",
            config=section("leakage"),
            protocol=EXPERIMENT.protocol(LEAKAGE.protocol).model_dump(mode="json"),
            stamp={**stamp(LEAKAGE.protocol), "seeds": f"leakage {LEAKAGE.seed}"},
            title=EXPERIMENT.title,
            code=code("leakage_score"),
        script:
            "../scripts/leakage_score.py"

    rule figure_leakage:
        input:
            json=f"{RESULTS}/leakage.json",
        output:
            figure=report(
                f"{RESULTS}/figures/leakage.png", caption="../report/leakage.rst", category="Leakage laboratory"
            ),
        log:
            f"{RESULTS}/logs/figure_leakage.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_leakage.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_leakage"),
        script:
            "../scripts/figure_leakage.py"
