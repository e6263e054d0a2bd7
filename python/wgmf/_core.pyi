"""The extension module: what the package is made of. Nothing here is for users."""

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

__all__: list[str]
__version__: str

_Options = dict[str, Any]
_Hears = Callable[[dict[str, Any]], bool] | None
_Listed = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.float64]]

class Error(Exception):
    """What wgmf cannot do, and why: where, what, and what to do next."""

    kind: str

@final
class Dataset:
    @staticmethod
    def from_files(paths: list[str], options: _Options) -> Dataset: ...
    @staticmethod
    def from_columns(
        users: Any,
        items: Any,
        ratings: Any,
        times: Any,
        weights: Any,
        said: tuple[str | None, float | None],
        duplicates: str,
        order: str,
    ) -> Dataset: ...
    @staticmethod
    def from_arrow(
        table: Any,
        columns: str | None,
        weights: Any,
        said: tuple[str | None, float | None],
        duplicates: str,
        order: str,
    ) -> Dataset: ...
    @staticmethod
    def from_csr(indptr: Any, indices: Any, data: Any, columns: int, duplicates: str) -> Dataset: ...
    def with_options(self, transform: list[str], threshold: float, least: tuple[int, int]) -> Dataset: ...
    def split(self, fraction: float, seed: int, per_user: bool) -> tuple[Dataset, Dataset]: ...
    def fold(self, folds: int, fold: int, seed: int) -> tuple[Dataset, Dataset]: ...
    def __len__(self) -> int: ...
    def ids(self, side: str) -> Any: ...
    def arrays(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.float32]]: ...
    @property
    def notes(self) -> list[str]: ...

@final
class Model:
    @staticmethod
    def fit(
        ratings: Dataset,
        last: bool,
        options: _Options,
        device: str,
        test: Dataset | None,
        holdout: float | None,
        from_model: Model | None,
        threads: int | None,
        hear: _Hears,
    ) -> Model: ...
    @staticmethod
    def open(path: str, device: str) -> Model: ...
    def save(self, path: str, force: bool) -> None: ...
    def export(self, path: str, format: str, force: bool) -> None: ...
    def ids(self, side: str) -> Any: ...
    def rows_of(self, side: str, ids: Any) -> npt.NDArray[np.uint32]: ...
    def counts(self, side: str) -> npt.NDArray[np.uint32]: ...
    def factors(self, side: str) -> npt.NDArray[np.float32]: ...
    def bias(self, side: str) -> npt.NDArray[np.float32]: ...
    @property
    def global_mean(self) -> float: ...
    @property
    def unit(self) -> str: ...
    @property
    def is_bayesian(self) -> bool: ...
    @property
    def stacked(self) -> int | None: ...
    def sample_vectors(self, side: str, rows: Any) -> npt.NDArray[np.float32]: ...
    @property
    def stop(self) -> str | None: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    def run(self) -> dict[str, Any]: ...
    def seen(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32] | None]: ...
    def recommend(
        self,
        users: Any,
        n: int,
        include_seen: bool,
        only: Any,
        exclude: Any,
        by: tuple[str, float] | None,
    ) -> _Listed: ...
    def similar(self, side: str, ids: Any, n: int, only: Any, exclude: Any) -> _Listed: ...
    def recommend_new(self, ratings: Dataset, n: int) -> tuple[Any, _Listed]: ...
    def fold_in(self, ratings: Dataset, side: str) -> tuple[Model, dict[str, list[str]]]: ...
    def predict(
        self, users: Any, items: Any, interval: float | None, credible: bool
    ) -> dict[str, npt.NDArray[np.float64]]: ...
    def report(
        self, path: str, name: str, test: Dataset | None, relevant_from: float | None, titles: list[str]
    ) -> None: ...
    def evaluate(
        self,
        test: Dataset,
        at: list[int],
        relevant_from: float | None,
        baselines: bool,
        include_seen: bool,
        candidates: Any,
        by: tuple[str, float] | None,
    ) -> dict[str, Any]: ...

def columns_of(names: Sequence[str], numbers: Sequence[bool], columns: str | None = None) -> list[int | None]: ...
def settings() -> dict[str, Any]: ...
def main(words: list[str]) -> int: ...
def cross_validate(
    ratings: Dataset,
    options: _Options,
    folds: int,
    at: list[int],
    relevant_from: float | None,
    device: str,
    threads: int | None,
    hear: _Hears,
) -> dict[str, Any]: ...
def tune(
    ratings: Dataset,
    options: _Options,
    space: dict[str, Any],
    metric: str | None,
    trials: int,
    relevant_from: float | None,
    test: Dataset | None,
    holdout: float,
    storage: str | None,
    force: bool,
    device: str,
    threads: int | None,
    hear: _Hears,
) -> dict[str, Any]: ...
def compare(a: Model, b: Model, test: Dataset, at: list[int], relevant_from: float | None) -> dict[str, Any]: ...
def fit_hu(
    indptr: Any,
    indices: Any,
    data: Any,
    users: Any,
    items: Any,
    alpha: float,
    regularization: float,
    epochs: int,
    device: str,
    threads: int | None,
    hear: _Hears,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]: ...
def solve_hu(
    indptr: Any,
    indices: Any,
    data: Any,
    factors: Any,
    alpha: float,
    regularization: float,
    device: str,
    threads: int | None,
) -> npt.NDArray[np.float32]: ...
