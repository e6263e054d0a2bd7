"""Matrix factorization for recommendation: ratings in, embeddings and lists out, on any GPU and on the CPU.

>>> import wgmf
>>> train, test = wgmf.split("sample/plays.csv", holdout=0.2, seed=0)
>>> model = wgmf.fit(train, solver="als", factors=8, epochs=5)
>>> bool(model.evaluate(test)["rmse"] < 0.9)
True
>>> len(model.recommend("Norel", n=5))
5

Ratings come as a path (whatever the command line reads), a pandas or polars DataFrame, anything that hands out
Arrow data (pyarrow, DuckDB), a SciPy sparse matrix, or arrays of users, items and values. Ids come back as they
came. Everything that can go wrong is a `wgmf.Error`.
"""

from __future__ import annotations

from ._core import Error, __version__
from ._data import Dataset, split
from ._model import Model, fit, load, settings
from ._search import Tuned, compare, cross_validate, tune

__all__ = [
    "Dataset",
    "Error",
    "Model",
    "Tuned",
    "__version__",
    "compare",
    "cross_validate",
    "fit",
    "load",
    "settings",
    "split",
    "tune",
]
