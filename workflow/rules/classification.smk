"""Warm and cold weeks or heatwaves as a classification, where asked for: the fusion study's networks and ensembles."""

CLASSIFIED = EXPERIMENT.classification

if HEATWAVES:

    rule regional:
        input:
            field=f"{RESULTS}/field/field.nc",
        output:
            coefficients=COEFFICIENTS,
        log:
            f"{RESULTS}/logs/regional.log",
        benchmark:
            f"{RESULTS}/benchmarks/regional.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            region=EXPERIMENT.verify.region(CLASSIFIED.heatwaves.region).model_dump(mode="json"),
            code=code("regional"),
        script:
            "../scripts/regional.py"


if CLASSIFIED is not None:
    # what tells which events came: training weeks alone in the first rule, all weeks in the second
    INDEX_TABLE = {} if HEATWAVES else {"table": f"{RESULTS}/index/table.parquet"}
    TOLD_BY = {"weeks": COEFFICIENTS} if HEATWAVES else INDEX_TABLE

    rule classify:
        input:
            **INDEX_TABLE,
            train=f"{RESULTS}/windows/{CLASSIFIED.protocol}/train.nc",
            test_inputs=f"{RESULTS}/windows/{CLASSIFIED.protocol}/test_inputs.nc",
        output:
            chances=f"{RESULTS}/classified/chances.npz",
            trials=f"{RESULTS}/classified/trials.json",
        log:
            f"{RESULTS}/logs/classify.log",
        benchmark:
            f"{RESULTS}/benchmarks/classify.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            # not an output: Snakemake deletes the outputs of a job that failed, and these are what it goes on from
            folder=f"{RESULTS}/classified/networks",
            config=section("classification"),
            windows=section("windows"),
            harmonics=EXPERIMENT.baselines.climatology_harmonics,
            code=code("classify"),
        script:
            "../scripts/classify.py"

    rule classified_score:
        input:
            **TOLD_BY,
            chances=f"{RESULTS}/classified/chances.npz",
            trials=f"{RESULTS}/classified/trials.json",
            train=f"{RESULTS}/windows/{CLASSIFIED.protocol}/train.nc",
            test_targets=f"{RESULTS}/windows/{CLASSIFIED.protocol}/test_targets.nc",
        output:
            json=f"{RESULTS}/classified.json",
            page=f"{RESULTS}/classified.md",
            html=report(f"{RESULTS}/classified.html", caption="../report/classified_table.rst", category="Events"),
        log:
            f"{RESULTS}/logs/classified_score.log",
        benchmark:
            f"{RESULTS}/benchmarks/classified_score.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            ledger=f"{RESULTS}/ledger.jsonl",
            config=section("classification", "threshold", "heatwaves"),
            stamp={
                **stamp(CLASSIFIED.protocol),
                "coefficients": (
                    f"none, the area mean of {EXPERIMENT.verify.region(CLASSIFIED.heatwaves.region).label}"
                    if HEATWAVES
                    else "none, the index itself"
                ),
                "seeds": f"networks {CLASSIFIED.seed}",
            },
            title=EXPERIMENT.title,
            code=code("classified_score"),
        script:
            "../scripts/classified_score.py"

    rule figure_classified:
        input:
            json=f"{RESULTS}/classified.json",
        output:
            figure=report(f"{RESULTS}/figures/classified.png", caption="../report/classified.rst", category="Events"),
        log:
            f"{RESULTS}/logs/figure_classified.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_classified.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_classified"),
        script:
            "../scripts/figure_classified.py"
