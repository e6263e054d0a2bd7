"""The training loop that is written most often: biased matrix factorization in PyTorch, embeddings and
Adam, on the ratings of a file `user,item,value` with ids from 1. Ratings a second over some hundred
batches, the first ones left out.

torch.optim.Adam moves every row at every batch; SparseAdam only those that occur, as wgmf does.
"""

import argparse
import json
import time

import numpy as np
import torch


def read(path):
    try:
        from pyarrow import csv

        table = csv.read_csv(
            path, read_options=csv.ReadOptions(column_names=["user", "item", "value"])
        )
        columns = [table[name].to_numpy() for name in ("user", "item", "value")]
    except ImportError:
        columns = np.loadtxt(path, delimiter=",").T
    user, item, value = columns
    return user.astype(np.int64) - 1, item.astype(np.int64) - 1, value.astype(np.float32)


class Model(torch.nn.Module):
    def __init__(self, users, items, factors, mean, sparse):
        super().__init__()
        embedding = lambda rows, columns: torch.nn.Embedding(rows, columns, sparse=sparse)
        self.p, self.q = embedding(users, factors), embedding(items, factors)
        self.b, self.c = embedding(users, 1), embedding(items, 1)
        for table in (self.p, self.q):
            torch.nn.init.normal_(table.weight, std=0.1 / factors**0.5)
        for table in (self.b, self.c):
            torch.nn.init.zeros_(table.weight)
        self.mean = mean

    def forward(self, user, item):
        inner = (self.p(user) * self.q(item)).sum(1)
        return self.mean + self.b(user)[:, 0] + self.c(item)[:, 0] + inner


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--batches", default="65536 4096")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    user, item, value = (torch.from_numpy(column).to(device) for column in read(arguments.data))
    count, mean = len(value), float(value.mean())
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    print(f"{name}, torch {torch.__version__}, {count} ratings, k = {arguments.factors}")
    results = []
    for batch in (int(text) for text in arguments.batches.split()):
        for kind in ("Adam", "SparseAdam"):
            torch.manual_seed(0)
            sparse = kind == "SparseAdam"
            model = Model(arguments.users, arguments.items, arguments.factors, mean, sparse)
            model = model.to(device)
            optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.003)
            order = torch.randperm(count, device=device)
            steps = min(arguments.steps, count // batch)
            warm_up = min(20, steps // 4)
            for step in range(steps):
                if step == warm_up:
                    wait()
                    began = time.perf_counter()
                at = order[step * batch : (step + 1) * batch]
                optimizer.zero_grad()
                error = model(user[at], item[at]) - value[at]
                loss = (error * error).mean()
                loss.backward()
                optimizer.step()
            wait()
            seconds = time.perf_counter() - began
            rate = (steps - warm_up) * batch / seconds
            print(f"{kind:<11} batch {batch:>6}: {rate / 1e6:9.2f} M ratings/s")
            results.append({"optimizer": kind, "batch": batch, "ratings_per_second": rate})
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"device": name, "torch": torch.__version__, "results": results}, file)


if __name__ == "__main__":
    main()
