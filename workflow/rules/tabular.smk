"""The tabular benchmark, where that is asked for: sets, a job a split, one that reads test rows, scorecard and figure."""

TABULAR = EXPERIMENT.tabular

if TABULAR is not None:
    from podnas.data import uci
    from podnas.tabular import sets as tabular_sets

    TABLES, MISSING = uci.plan(TABULAR, f"{RESULTS}/tabular/data")
    # known before a published set is here
    COUNTS = {
        name: uci.SETS[name].splits if name in MISSING else len(tabular_sets.read(Path(path)).test)
        for name, path in TABLES.items()
    }
    SPLITS = [
        (name, number)
        for name, count in COUNTS.items()
        for number in tabular_sets.first_splits(name, count, TABULAR.splits)
    ]

    ruleorder: tabular_scorecard > scorecard

    if MISSING:

        rule tabular_download:
            output:
                data=f"{RESULTS}/tabular/data/{{table}}.npz",
            log:
                f"{RESULTS}/logs/tabular_download.{{table}}.log",
            benchmark:
                f"{RESULTS}/benchmarks/tabular_download_{{table}}.tsv"
            wildcard_constraints:
                table="|".join(MISSING),
            conda:
                "../../envs/podnas.yaml"
            resources:
                mem_mb=memory,
                runtime=minutes,
            params:
                # not an output: Snakemake deletes the outputs of a job that failed, and what has come stays
                texts=f"{RESULTS}/tabular/data/{{table}}",
                config=section("tabular", "download"),
                code=code("tabular_download"),
            script:
                "../scripts/tabular_download.py"

    rule tabular_search:
        input:
            data=lambda wildcards: TABLES[wildcards.table],
        output:
            forecasts=f"{RESULTS}/tabular/{{table}}/split_{{split}}.npz",
            trials=f"{RESULTS}/tabular/{{table}}/split_{{split}}_trials.parquet",
        log:
            f"{RESULTS}/logs/tabular_search_{{table}}_{{split}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/tabular_search_{{table}}.{{split}}.tsv"
        wildcard_constraints:
            table="|".join(TABLES),
            split=r"\d+",
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            # not an output: Snakemake deletes the outputs of a job that failed, and these are what it goes on from
            logs=f"{RESULTS}/tabular/{{table}}/trials",
            config=section("tabular", "folds", "space", "members", "floors", "recipe", "seed", "scored"),
            search=section("search"),
            code=code("tabular_search"),
        script:
            "../scripts/tabular_search.py"

    rule tabular_score:
        input:
            data=list(TABLES.values()),
            forecasts=[f"{RESULTS}/tabular/{name}/split_{number}.npz" for name, number in SPLITS],
        output:
            scores=f"{RESULTS}/tabular/scores.parquet",
        log:
            f"{RESULTS}/logs/tabular_score.log",
        benchmark:
            f"{RESULTS}/benchmarks/tabular_score.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            # appended to, never made anew: it remembers every look at test targets; pseudo-test rows are none
            ledger=f"{RESULTS}/ledger.jsonl" if TABULAR.scored == "test" else "",
            floors=list(TABULAR.floors),
            code=code("tabular_score"),
        script:
            "../scripts/tabular_score.py"

    rule tabular_scorecard:
        input:
            scores=f"{RESULTS}/tabular/scores.parquet",
        output:
            json=f"{RESULTS}/scorecard.json",
            whole=f"{RESULTS}/tabular.json",
            page=f"{RESULTS}/scorecard.md",
            html=report(f"{RESULTS}/scorecard.html", caption="../report/tabular_table.rst", category="Scores"),
        log:
            f"{RESULTS}/logs/tabular_scorecard.log",
        benchmark:
            f"{RESULTS}/benchmarks/tabular_scorecard.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            stamp=tabular_stamp(len(SPLITS)),
            title=EXPERIMENT.title,
            code=code("tabular_scorecard"),
        script:
            "../scripts/tabular_scorecard.py"

    rule figure_tabular:
        input:
            json=f"{RESULTS}/tabular.json",
        output:
            figure=report(f"{RESULTS}/figures/tabular.png", caption="../report/tabular.rst", category="Scores"),
        log:
            f"{RESULTS}/logs/figure_tabular.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_tabular.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_tabular"),
        script:
            "../scripts/figure_tabular.py"
