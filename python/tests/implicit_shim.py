"""Stands in for the package implicit, so that its own tests run against wgmf with nothing but the import changed."""

from __future__ import annotations

import sys
import types

import wgmf.implicit as own


class ItemItemRecommender:
    """Nobody's model here: tests ask whether theirs is one."""


def precision_at_k(model, train_user_items, test_user_items, K=10, show_progress=True, num_threads=1):
    """implicit's: hits over the sum of what each user could have hit."""
    hits = possible = 0
    for user in range(test_user_items.shape[0]):
        liked = set(test_user_items[user].indices.tolist())
        if liked:
            ids, _ = model.recommend(user, train_user_items[user], N=K)
            hits += len(liked & set(ids.tolist()))
            possible += min(K, len(liked))
    return hits / possible


def module(name, **contents):
    made = types.ModuleType(name)
    vars(made).update(contents)
    sys.modules[name] = made
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, made)


def install():
    """Makes `import implicit` give wgmf's."""
    module("implicit")
    module("implicit.cpu")
    als = {"AlternatingLeastSquares": own.AlternatingLeastSquares}
    module("implicit.als", **als)
    module("implicit.cpu.als", calculate_loss=own.calculate_loss, **als)
    module("implicit.bpr", BayesianPersonalizedRanking=own.BayesianPersonalizedRanking)
    module("implicit.gpu", HAS_CUDA=False)
    module("implicit.utils", ParameterWarning=own.ParameterWarning)
    module("implicit.evaluation", precision_at_k=precision_at_k)
    module("implicit.nearest_neighbours", ItemItemRecommender=ItemItemRecommender)
