"""Searches and ingredients judged, where that is asked for: inside the training period, by blocks left untouched."""

JUDGED = EXPERIMENT.judged

if JUDGED is not None:
    ABLATED = {
        "forecasts": f"{RESULTS}/judged/ablation.nc",
        "networks": f"{RESULTS}/judged/ablation.json",
    }

    rule judged_search:
        input:
            train=f"{RESULTS}/windows/{JUDGED.protocol}/train.nc",
        output:
            trials=f"{RESULTS}/judged/trials.parquet",
            searches=f"{RESULTS}/judged/searches.json",
        log:
            f"{RESULTS}/logs/judged_search.log",
        benchmark:
            f"{RESULTS}/benchmarks/judged_search.tsv"
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.search_threads
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # not an output: Snakemake deletes the outputs of a job that failed, and these are what it goes on from
            logs=f"{RESULTS}/judged/searches",
            config=section("judged", "algorithms", "searches", "blocks", "top", "seed"),
            search=section("search"),
            training=section("training"),
            windows=section("windows"),
            code=code("judged_search"),
        script:
            "../scripts/judged_search.py"

    rule judged_score:
        input:
            **(ABLATED if JUDGED.ablation else {}),
            trials=f"{RESULTS}/judged/trials.parquet",
            searches=f"{RESULTS}/judged/searches.json",
            train=f"{RESULTS}/windows/{JUDGED.protocol}/train.nc",
        output:
            json=f"{RESULTS}/judged.json",
            page=f"{RESULTS}/judged.md",
            html=report(f"{RESULTS}/judged.html", caption="../report/judged_table.rst", category="Search"),
        log:
            f"{RESULTS}/logs/judged_score.log",
        benchmark:
            f"{RESULTS}/benchmarks/judged_score.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            top=JUDGED.top,
            sizes=list(JUDGED.ablation.sizes) if JUDGED.ablation else [],
            stamp={
                **stamp(JUDGED.protocol),
                "seeds": f"searches {JUDGED.seed}" + (f", ablation {JUDGED.ablation.seed}" if JUDGED.ablation else ""),
            },
            title=EXPERIMENT.title,
            code=code("judged_score"),
        script:
            "../scripts/judged_score.py"

    rule figure_judged:
        input:
            json=f"{RESULTS}/judged.json",
        output:
            figure=report(f"{RESULTS}/figures/judged.png", caption="../report/judged.rst", category="Search"),
        log:
            f"{RESULTS}/logs/figure_judged.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_judged.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_judged"),
        script:
            "../scripts/figure_judged.py"


if JUDGED is not None and JUDGED.ablation is not None:

    rule judged_ablation:
        input:
            train=f"{RESULTS}/windows/{JUDGED.protocol}/train.nc",
        output:
            **ABLATED,
        log:
            f"{RESULTS}/logs/judged_ablation.log",
        benchmark:
            f"{RESULTS}/benchmarks/judged_ablation.tsv"
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.search_threads
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # not an output, as above
            folder=f"{RESULTS}/judged/ablation",
            config=JUDGED.ablation.model_dump(mode="json", include={"members", "sizes", "blocks", "seed"}),
            settings={
                name: {
                    key: one.model_dump(mode="json") for key, one in zip(("training", "windows", "ensemble"), sections)
                }
                for name, sections in EXPERIMENT.ingredients().items()
            },
            code=code("judged_ablation"),
        script:
            "../scripts/judged_ablation.py"
