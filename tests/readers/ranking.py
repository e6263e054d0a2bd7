"""Ranking metrics in plain NumPy: reads what the test wrote, prints each metric as JSON.

With --ranx the lists are made here and measured by ranx (https://github.com/AmenRa/ranx).
"""

import json
import sys

import numpy as np

with open(sys.argv[1], encoding="utf-8") as file:
    case = json.load(file)

k = case["factors"]
p = np.array(case["user_factors"]).reshape(-1, k)
q = np.array(case["item_factors"]).reshape(-1, k)
scores = np.zeros((len(p), len(q)))
for f in range(k):
    scores += np.outer(p[:, f], q[:, f])
scores = np.array(case["item_bias"]) + scores
popularity = np.array(case["item_ratings"], dtype=float)

candidates = np.zeros(len(q), dtype=bool)
candidates[case["candidates"]] = True
ratings = {}
for user, item, rating in case["test"]:
    ratings.setdefault(user, {})[item] = rating

lengths = case["at"]
sums = {}
shown = {n: np.zeros(len(q)) for n in lengths}
users = 0
qrels, run = {}, {}
for user in sorted(ratings):
    open_items = candidates.copy()
    open_items[case["seen"][user]] = False
    gains = np.zeros(len(q))
    relevant = np.zeros(len(q), dtype=bool)
    for item, rating in ratings[user].items():
        if open_items[item]:
            gains[item] = max(rating, 0.0)
            relevant[item] = rating >= case["relevant_from"]
    if not relevant.any():
        continue
    users += 1
    items = np.flatnonzero(open_items)
    order = items[np.lexsort((items, -scores[user, items]))]
    qrels[str(user)] = {str(item): 1 for item in items[relevant[items]]}
    # Scores by rank: ties are broken already.
    run[str(user)] = {str(item): float(len(order) - rank) for rank, item in enumerate(order)}
    values = {}
    for n in lengths:
        top = order[:n]
        hits = relevant[top].astype(float)
        discounts = 1 / np.log2(np.arange(2, n + 2))
        most = min(n, relevant.sum())
        best = np.sort(gains)[::-1][:n]
        found = hits.sum()
        values[f"precision@{n}"] = found / n
        values[f"recall@{n}"] = found / relevant.sum()
        values[f"recall_min@{n}"] = found / most
        values[f"ndcg@{n}"] = hits @ discounts[: len(top)] / discounts[:most].sum()
        ideal = best @ discounts[: len(best)]
        graded = gains[top] @ discounts[: len(top)]
        values[f"ndcg_graded@{n}"] = graded / ideal if ideal > 0 else 0.0
        precision = np.cumsum(hits) / np.arange(1, len(top) + 1)
        values[f"map@{n}"] = (precision * hits).sum() / most
        values[f"mrr@{n}"] = 1 / (np.argmax(hits) + 1) if found else 0.0
        values[f"hit_rate@{n}"] = float(found > 0)
        values[f"popularity@{n}"] = popularity[top].mean()
        shown[n][top] += 1
    up = scores[user, items[relevant[items]]]
    down = scores[user, items[~relevant[items]]]
    if len(down):
        wins = (up[:, None] > down).sum() + 0.5 * (up[:, None] == down).sum()
        values["auc"] = wins / (len(up) * len(down))
    for key, value in values.items():
        sums.setdefault(key, []).append(value)

if "--ranx" in sys.argv:
    import ranx

    names = [f"{name}@{n}" for name in ("precision", "recall", "ndcg", "mrr", "hit_rate") for n in lengths]
    measured = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), names)
    print(json.dumps({name: float(value) for name, value in measured.items()}))
    sys.exit()

metrics = {key: float(np.mean(values)) for key, values in sums.items()}
metrics["users"] = users
for n in lengths:
    counts = np.sort(shown[n][candidates])
    m = len(counts)
    metrics[f"coverage@{n}"] = float((counts > 0).mean())
    # Half the relative mean absolute difference.
    lorenz = np.cumsum(counts) / counts.sum()
    metrics[f"gini@{n}"] = float((m + 1 - 2 * lorenz.sum()) / m)
print(json.dumps(metrics))
