"""All that is fitted or chosen, and nothing that has seen test targets: what `podnas audit` runs and compares."""

# protocols and, of rolling ones, each refit
FITS = list(dict.fromkeys([*PROTOCOLS, *RUNS.origins()]))


rule fitted:
    input:
        f"{RESULTS}/reduction/basis.nc",
        BASIS,
        COEFFICIENTS,
        [f"{RESULTS}/windows/{fit}/train.nc" for fit in FITS],
        [f"{RESULTS}/search/{path}/trials.parquet" for path, run in RUNS.by_path.items() if run.year is None],
        [f"{RESULTS}/networks/{path}/catalogue.json" for path in RUNS.by_path],
        [f"{RESULTS}/predictions/{fit}/{method}.nc" for fit in FITS for method in METHODS],
        [f"{RESULTS}/predictions/{fit}/{name}_held_out.nc" for fit in RUNS.origins() for name in SYSTEMS],
        [f"{RESULTS}/predictions/{fit}/complete_system.json" for fit in RUNS.origins() if EXPERIMENT.stack],
        [f"{RESULTS}/uncertainty/{name}/selection.json" for name in SEARCHED if UNCERTAINTY is not None],
        [f"{RESULTS}/transfer/{name}/networks.json" for name in SEARCHED if EXPERIMENT.transfer.catalogue],
