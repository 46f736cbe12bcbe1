"""Names of the baselines and how each is made."""

from __future__ import annotations

from podnas.baselines import trees
from podnas.baselines.autoregression import Autoregression, SeasonalAutoregression
from podnas.baselines.climatology import Climatology
from podnas.baselines.forecaster import Forecaster
from podnas.baselines.inverse import LinearInverseModel
from podnas.baselines.linear import LeastSquares, Mean, SeasonalRidge
from podnas.baselines.persistence import AnomalyPersistence, DampedPersistence, Persistence
from podnas.baselines.regression import AnomalyRegression
from podnas.config import LINEAR, BaselinesConfig, WindowsConfig


def build(name: str, config: BaselinesConfig, windows: WindowsConfig, threads: int = 1) -> Forecaster:
    """The unfitted baseline of that name: of podnas.config.BASELINES, which scorecards have, or of OF_AN_INDEX."""
    count = config.climatology_harmonics
    match name:
        case "climatology":
            return Climatology(count)
        case "climatology_trend":
            return Climatology(count, trend=True)
        case "persistence":
            return Persistence()
        case "damped_persistence":
            return DampedPersistence(Climatology(count))
        case "least_squares":
            return LeastSquares()
        case "seasonal_ridge":
            return SeasonalRidge(count, windows)
        case "linear_inverse_model":
            return LinearInverseModel(Climatology(count))
        case "mean_linear":
            return Mean([build(method, config, windows) for method in LINEAR])
        case "mean_damped_inverse":
            return Mean([build(method, config, windows) for method in ("damped_persistence", "linear_inverse_model")])
        case "anomaly_regression":
            return AnomalyRegression(count, windows)
        case "random_forest":
            return trees.random_forest(config.trees, count, config.trees_seed, threads)
        case "xgboost":
            return trees.xgboost(config.trees, count, config.trees_seed, threads)
        case "anomaly_persistence":
            return AnomalyPersistence(Climatology(count))
        case "autoregression":
            return Autoregression(Climatology(count))
        case "seasonal_autoregression":
            return SeasonalAutoregression(Climatology(count), windows)
    raise ValueError(f"there is no baseline {name!r}; podnas.config.BASELINES and OF_AN_INDEX list them")
