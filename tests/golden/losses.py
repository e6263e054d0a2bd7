"""Writes losses/ beside this script: the golden problem trained by losses made for ranking, in PyTorch and float64.

    python losses.py [--out FOLDER]        needs make.py's ratings.csv and init/ there

Gradients are PyTorch's own (autograd) of the losses as their papers write them: sampled softmax with a
temperature and the exponent of Wu et al. 2023 (BSL), cosine contrastive loss of Mao et al. 2021, BPR of Rendle
et al. 2009 with the highest of a few negatives, WARP of Weston et al. 2011. Nothing here is shared with wgmf but
the rule by which negatives are drawn (Philox 4x32-10 of Salmon et al. 2011), which is written out below.

Every folder has the arrays (float64) after 4 epochs over batches in the order of the file, rows of length 1
where scores are cosines, and losses/info.json every setting and the mean loss of each epoch, each batch's
before its step.
"""

import argparse
import csv
import json
import math
import pathlib

import numpy as np
import torch

BATCH, EPOCHS, SEED = 97, 4, 12

CASES = {
    "softmax": {
        "loss": "softmax", "score": "cosine", "negatives": 40, "temperature": 0.2, "negative_power": 1.0,
    },
    "softmax-all": {
        "loss": "softmax", "score": "inner", "negatives": "all", "temperature": 0.5, "negative_power": 1.0,
        "bias": True, "reg": 0.01, "reg_bias": 0.02,
    },
    "softmax-batch": {
        "loss": "softmax", "score": "cosine", "negatives": "batch", "temperature": 0.15,
        "negative_power": 1.2,
    },
    "ccl": {
        "loss": "ccl", "score": "cosine", "negatives": 40, "margin": 0.1, "negative_weight": 8.0,
    },
    "bpr": {
        "loss": "bpr", "score": "inner", "negatives": 40, "tries": 4, "bias": True, "reg": 0.01,
        "reg_bias": 0.02,
    },
    "warp": {"loss": "warp", "score": "inner", "negatives": 40, "tries": 12, "margin": 0.5},
}  # fmt: skip


def philox(counter, key):
    mask = (1 << 32) - 1
    counter, key = list(counter), list(key)
    for turn in range(10):
        if turn > 0:
            key = [key[0] + 0x9E3779B9 & mask, key[1] + 0xBB67AE85 & mask]
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            second >> 32 ^ counter[1] ^ key[0],
            second & mask,
            first >> 32 ^ counter[3] ^ key[1],
            first & mask,
        ]
    return counter


def word(step, row, column):
    """The random word of a column of a row: of negatives, which have the tag 10."""
    return philox([column // 4, row, step, 10], [SEED, 0])[column % 4]


class Training:
    def __init__(self, folder, settings):
        self.settings = settings
        with open(folder / "ratings.csv", newline="") as file:
            rows = list(csv.reader(file))[1:]
        users, items = {}, {}
        self.users = [users.setdefault(user, len(users)) for user, *_ in rows]
        self.items = [items.setdefault(item, len(items)) for _, item, *_ in rows]
        self.known = [set() for _ in users]
        for user, item in zip(self.users, self.items):
            self.known[user].add(item)
        load = lambda name: torch.tensor(np.load(folder / "init" / f"{name}.npy").astype(np.float64))
        self.parameters = [load("user_factors"), load("item_factors"), load("item_bias")]
        if not settings.get("bias"):
            self.parameters[2] *= 0
        self.moments = [[torch.zeros_like(x), torch.zeros_like(x)] for x in self.parameters]
        self.steps = 0

    def draws(self, step, pairs):
        negatives, count = self.settings["negatives"], len(self.parameters[1])
        if negatives == "all":
            return list(range(count))
        if negatives == "batch":
            return [item for _, item in pairs]
        return [word(step, 0, at) * count >> 32 for at in range(negatives)]

    def loss(self, parameters, pairs, step):
        """The summed loss, and which items have a penalty beside those of the pairs."""
        s = self.settings
        users, items, bias = parameters
        if s["score"] == "cosine":
            users, items = (x / x.norm(dim=1, keepdim=True) for x in (users, items))
        draws = self.draws(step, pairs)
        total, picked = torch.zeros((), dtype=torch.float64), []
        for number, (user, item) in enumerate(pairs):
            score = lambda j: users[user] @ items[j] + bias[j]
            own = score(item)
            free = [j for j in draws if j not in self.known[user]]
            if not free:
                continue
            if s["loss"] == "softmax":
                # An estimate of the sum over all items, by how likely each draw was.
                if s["negatives"] == "batch":
                    chance = lambda j: self.items.count(j) / len(self.items)
                elif s["negatives"] == "all":
                    chance = lambda j: 1 / len(draws)
                else:
                    chance = lambda j: 1 / len(self.parameters[1])
                parts = [
                    score(j) / s["temperature"] - math.log(len(draws) * chance(j)) for j in free
                ]
                power = s.get("negative_power", 1.0)
                total = total + power * torch.logsumexp(torch.stack(parts), 0) - own / s["temperature"]
            elif s["loss"] == "ccl":
                above = torch.stack([torch.clamp(score(j) - s["margin"], min=0) for j in free])
                total = total + (1 - own) + s["negative_weight"] * above.mean()
            else:
                begin = word(step, 1, number) * len(draws) >> 32
                turned = draws[begin:] + draws[:begin]
                looked = [j for j in turned if j not in self.known[user]][: s["tries"]]
                if s["loss"] == "bpr":
                    best = max(looked, key=lambda j: score(j).item())
                    picked.append(best)
                    total = total + torch.nn.functional.softplus(score(best) - own)
                    continue
                for place, j in enumerate(looked, start=1):
                    if score(j) > own - s["margin"]:
                        rank = max((len(self.parameters[1]) - 1) // place, 1)
                        weight = sum(1 / n for n in range(1, rank + 1))
                        picked.append(j)
                        total = total + weight * (s["margin"] + score(j) - own)
                        break
        return total, picked, draws

    def step(self, pairs):
        s, step = self.settings, self.steps
        self.steps += 1
        parameters = [x.clone().requires_grad_() for x in self.parameters]
        total, picked, draws = self.loss(parameters, pairs, step)
        objective = total
        for user, item in pairs:
            objective = objective + s.get("reg", 0.0) * (parameters[0][user] ** 2).sum()
        for item in [item for _, item in pairs] + picked:
            objective = objective + s.get("reg", 0.0) * (parameters[1][item] ** 2).sum()
            objective = objective + s.get("reg_bias", 0.0) * parameters[2][item] ** 2
        (objective / len(pairs)).backward()
        chosen = sorted({item for _, item in pairs} | set(draws))
        rows = [sorted({user for user, _ in pairs}), chosen, chosen if s.get("bias") else []]
        turn = self.steps
        for x, leaf, (first, second), of in zip(self.parameters, parameters, self.moments, rows):
            if not of:
                continue
            g = leaf.grad[of]
            first[of] = 0.9 * first[of] + 0.1 * g
            second[of] = 0.999 * second[of] + 0.001 * g * g
            # As torch.optim.SparseAdam: epsilon is added before the correction of the second moment.
            rate = s["learning_rate"] * math.sqrt(1 - 0.999**turn) / (1 - 0.9**turn)
            x[of] -= rate * first[of] / (second[of].sqrt() + 1e-8)
        return total.item()

    def run(self):
        history = []
        for _ in range(EPOCHS):
            total = 0.0
            for start in range(0, len(self.users), BATCH):
                part = slice(start, start + BATCH)
                total += self.step(sorted(zip(self.users[part], self.items[part])))
            history.append(total / len(self.users))
        users, items, bias = self.parameters
        if self.settings["score"] == "cosine":
            users, items = (x / x.norm(dim=1, keepdim=True) for x in (users, items))
        return {"user_factors": users, "item_factors": items, "item_bias": bias}, history


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    out = parser.parse_args().out
    info = {"batch_size": BATCH, "epochs": EPOCHS, "seed": SEED, "losses": {}}
    for name, settings in CASES.items():
        settings = {"learning_rate": 0.03, "reg": 0.0, **settings}
        arrays, history = Training(out, settings).run()
        folder = out / "losses" / name
        folder.mkdir(parents=True, exist_ok=True)
        for array, values in arrays.items():
            np.save(folder / f"{array}.npy", values.numpy())
        info["losses"][name] = {"settings": settings, "history": history}
        print(name, history)
    (out / "losses" / "info.json").write_text(json.dumps(info, indent=1) + "\n")


if __name__ == "__main__":
    main()
