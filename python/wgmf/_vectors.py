"""Rows for programs that search vectors: their inner product, or their cosine, ranks as the model does.

A score is what is the same for all items (the mean and the user's bias) and `c_i + p_u · q_i`. With `[q_i, c_i]` for an
item and `[p_u, 1]` for a user the latter is an inner product. With a further number that brings all items to one
length, `sqrt(M² − |q_i|² − c_i²)` against 0 of the user, cosines are in the same order (Bachrach et al. 2014).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ._data import failed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ._model import Model

    Floats = npt.NDArray[np.float32]

# Rows that go to a server at once.
BATCH = 1000


def _rows(model: Model, side: str, ids: Any, samples: bool) -> Floats:
    """The rows of a side, without what brings them to one length."""
    import numpy as np

    if samples and model._core.is_bayesian and model._core.stacked:
        return model._core.sample_vectors(side, ids)
    factors = model.item_factors if side == "item" else model.user_factors
    rows = slice(None) if ids is None else model._core.rows_of(side, ids)
    biases = bool(model.item_bias.any())
    if factors.shape[1] == 0 and not biases:
        raise failed("data", "the model has neither factors nor biases of items: there is nothing to search by")
    if not biases:
        return np.array(factors[rows])
    own = factors[rows]
    last = model.item_bias[rows] if side == "item" else np.ones(len(own), dtype=np.float32)
    return np.concatenate([own, last[:, None]], axis=1)


def _longest(rows: Floats) -> float:
    import numpy as np

    return float(np.sqrt(_squares(rows).max(initial=0.0)))


def _squares(rows: Floats) -> npt.NDArray[np.float64]:
    import numpy as np

    squares: npt.NDArray[np.float64] = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return squares


def longest(model: Model, samples: bool = True) -> float:
    """The length that all items have before they are divided by it."""
    return _longest(_rows(model, "item", None, samples))


def items(model: Model, ids: Any, cosine: bool, samples: bool) -> Floats:
    """The rows of items."""
    import numpy as np

    rows = _rows(model, "item", ids, samples)
    if not cosine:
        return rows
    most = _longest(rows) if ids is None else longest(model, samples)
    rest = np.sqrt(np.maximum(most**2 - _squares(rows), 0.0))
    whole = np.concatenate([rows, rest[:, None]], axis=1) / (most or 1.0)
    return whole.astype(np.float32)


def queries(model: Model, ids: Any, cosine: bool, samples: bool) -> Floats:
    """The rows of users."""
    import numpy as np

    rows = _rows(model, "user", ids, samples)
    if not cosine:
        return rows
    return np.concatenate([rows, np.zeros((len(rows), 1), dtype=np.float32)], axis=1)


def described(model: Model, cosine: bool, samples: bool) -> dict[str, Any]:
    """How a query is formed, for whoever finds the vectors without the program that made them."""
    from ._core import __version__

    stacked = bool(samples and model._core.is_bayesian)
    item, user = ("each sample's factors", "each sample's factors / samples") if stacked else ("factors", "factors")
    if stacked or model.item_bias.any():
        item, user = f"{item}, bias", f"{user}, 1"
    said: dict[str, Any] = {"wgmf": __version__, "distance": "cosine" if cosine else "inner product"}
    if cosine:
        said["length"] = longest(model, samples)
        item, user = f"({item}, what brings all to the same length) / length", f"{user}, 0"
    said |= {"item": f"[{item}]", "query": f"[{user}]", "global_mean": model.global_mean}
    if stacked:
        said["samples"] = model._core.stacked
    return said


def plain_ids(ids: Any) -> list[Any]:
    """Ids as JSON has them."""
    return [one if isinstance(one, (int, str)) else str(one) for one in ids.tolist()]


def to_arrow(model: Model, side: str, cosine: bool, samples: bool) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise _missing("pyarrow", "pyarrow") from None
    if side not in ("item", "user"):
        raise failed("settings", f"`side` does not take {side!r}; give \"item\" or \"user\"")
    of = items if side == "item" else queries
    rows = of(model, None, cosine, samples)
    ids, counts, bias = (
        (model.items, model.item_ratings, model.item_bias)
        if side == "item"
        else (model.users, model.user_ratings, model.user_bias)
    )
    flat = pyarrow.array(rows.ravel())
    columns = {
        "id": pyarrow.array(plain_ids(ids)),
        "ratings": pyarrow.array(counts),
        "bias": pyarrow.array(bias),
        "embedding": pyarrow.FixedSizeListArray.from_arrays(flat, rows.shape[1]),
    }
    return pyarrow.table(columns).replace_schema_metadata({"wgmf": json.dumps(described(model, cosine, samples))})


def to_faiss(model: Model, index: Any, cosine: bool, samples: bool) -> Any:
    try:
        import faiss
    except ImportError:
        raise _missing("FAISS", "faiss-cpu") from None
    rows = items(model, None, cosine, samples)
    if index is None or isinstance(index, str):
        index = faiss.index_factory(rows.shape[1], index or "Flat", faiss.METRIC_INNER_PRODUCT)
    if index.d != rows.shape[1]:
        raise failed("settings", f"`index` has {index.d} dimensions, and the vectors have {rows.shape[1]}")
    if index.ntotal:
        raise failed("settings", f"`index` holds {index.ntotal} vectors already; give one that holds none")
    if not index.is_trained:
        index.train(rows)
    index.add(rows)
    return index


def to_qdrant(model: Model, client: Any, collection: str, cosine: bool, samples: bool, force: bool) -> None:
    try:
        from qdrant_client import models
    except ImportError:
        raise _missing("Qdrant's client", "qdrant-client") from None
    rows = items(model, None, cosine, samples)
    if client.collection_exists(collection):
        if not force:
            raise failed("data", f"there is a collection {collection!r} already; give force=True to replace it")
        client.delete_collection(collection)
    distance = models.Distance.COSINE if cosine else models.Distance.DOT
    client.create_collection(
        collection,
        vectors_config=models.VectorParams(size=rows.shape[1], distance=distance),
        metadata=described(model, cosine, samples),
    )
    payload = [
        {"id": one, "ratings": count}
        for one, count in zip(plain_ids(model.items), model.item_ratings.tolist(), strict=True)
    ]
    for start in range(0, len(rows), BATCH):
        part = slice(start, start + BATCH)
        numbers: list[Any] = list(range(len(rows))[part])
        batch = models.Batch(ids=numbers, vectors=rows[part].tolist(), payloads=payload[part])
        client.upsert(collection, points=batch, wait=True)


def to_gensim(model: Model, cosine: bool, samples: bool) -> Any:
    try:
        from gensim.models import KeyedVectors
    except ImportError:
        raise _missing("gensim", "gensim") from None
    rows = items(model, None, cosine, samples)
    keyed = KeyedVectors(rows.shape[1], count=0)
    # Words of gensim are texts; numbers would be taken for places.
    keyed.add_vectors([str(one) for one in model.items.tolist()], rows)
    return keyed


def _missing(what: str, package: str) -> Exception:
    return failed("settings", f"{what} is needed for this: pip install {package}")
