"""Architectures found on other data, retrained here: forecasts, scores and a figure of the study, where one is asked for."""

TRANSFER = f"{RESULTS}/transfer/{{protocol}}"

if EXPERIMENT.transfer.catalogue is not None:
    if not Path(EXPERIMENT.transfer.catalogue).is_file():
        raise ValueError(
            f"transfer.catalogue {EXPERIMENT.transfer.catalogue} does not exist; run the experiment that makes it first "
            "(`make run` for results/sst), or leave the study out: transfer.catalogue: null"
        )

    rule transfer:
        input:
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
            test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
            transferred=EXPERIMENT.transfer.catalogue,
            searched=lambda wildcards: (
                f"{RESULTS}/networks/{RUNS.path(wildcards.protocol, EXPERIMENT.transfer.system)}/catalogue.json"
            ),
        output:
            forecasts=f"{TRANSFER}/forecasts.nc",
            validation=f"{TRANSFER}/validation.nc",
            networks=f"{TRANSFER}/networks.json",
        log:
            f"{RESULTS}/logs/transfer_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/transfer_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.search_threads
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # not an output: Snakemake deletes the outputs of a job that failed, and these are what it goes on from
            folder=f"{TRANSFER}/networks",
            config=section("transfer"),
            training=EXPERIMENT.of_system(EXPERIMENT.transfer.system).training.model_dump(mode="json"),
            windows=section("windows"),
            baselines=section("baselines"),
            code=code("transfer"),
        script:
            "../scripts/transfer.py"

    rule transfer_score:
        input:
            forecasts=f"{TRANSFER}/forecasts.nc",
            validation=f"{TRANSFER}/validation.nc",
            networks=f"{TRANSFER}/networks.json",
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
            simple=[f"{RESULTS}/forecasts/{{protocol}}/{name}.nc" for name in podnas_config.BASELINES],
        output:
            json=f"{TRANSFER}/transfer.json",
            page=f"{TRANSFER}/transfer.md",
            html=report(
                f"{TRANSFER}/transfer.html",
                caption="../report/transfer_table.rst",
                category="Transfer",
                labels={"figure": "table", "protocol": "{protocol}"},
            ),
        log:
            f"{RESULTS}/logs/transfer_score_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/transfer_score_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            labels={
                "transferred": EXPERIMENT.transfer.label,
                "searched": "searched here",
                "random": "random architectures",
            },
            title=EXPERIMENT.title,
            ledger=f"{RESULTS}/ledger.jsonl",
            code=code("transfer_score"),
        script:
            "../scripts/transfer_score.py"

    rule figure_transfer:
        input:
            json=f"{TRANSFER}/transfer.json",
        output:
            figure=report(
                f"{RESULTS}/figures/transfer_{{protocol}}.png",
                caption="../report/transfer.rst",
                category="Transfer",
                labels={"figure": "transfer", "protocol": "{protocol}"},
            ),
        log:
            f"{RESULTS}/logs/figure_transfer_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_transfer_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_transfer"),
        script:
            "../scripts/figure_transfer.py"
