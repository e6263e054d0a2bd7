"""wgmf beside PyTorch: an epoch of softmax over a pool of negatives, the same loop on the same cores.

    python losses.py --wgmf ../../target/release/wgmf --data DATA [--threads 2] [--epochs 2]

DATA holds gowalla/train.txt (LightGCN's split). 64 factors, cosine scores, batches of 2,048 pairs against 2,048
items drawn for each batch, temperature 0.1, Adam. PyTorch's loop is the one that papers of these losses publish:
embeddings, normalized; scores by one matrix product; logsumexp; backward; a step. It is given without masks and
weights, which wgmf has, and its batches are drawn before the clock starts. Adam comes as `torch.optim.Adam` over
whole tables and as `SparseAdam` over the rows of a batch; the sooner one counts. Runs take turns; an epoch's time is
the best of all, of wgmf without lists of held-out pairs.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import torch

FACTORS, BATCH, POOL, TEMPERATURE = 64, 2048, 2048, 0.1


def read(path):
    users, items = [], []
    for line in path.read_text().splitlines():
        user, *own = map(int, line.split())
        users += [user] * len(own)
        items += own
    return torch.tensor(users), torch.tensor(items)


class Torch:
    def __init__(self, pairs, sparse):
        self.users, self.items = pairs
        self.sparse = sparse
        counts = [int(ids.max()) + 1 for ids in pairs]
        torch.manual_seed(0)
        self.tables = [torch.nn.Embedding(count, FACTORS, sparse=sparse) for count in counts]
        for table in self.tables:
            torch.nn.init.normal_(table.weight, std=0.1)
        weights = [table.weight for table in self.tables]
        kind = torch.optim.SparseAdam if sparse else torch.optim.Adam
        self.optimizer = kind(weights, lr=1e-3)

    def epoch(self, limit=None):
        order = torch.randperm(len(self.users))
        batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)][:limit]
        pools = [torch.randint(self.tables[1].num_embeddings, (POOL,)) for _ in batches]
        began = time.perf_counter()
        for batch, pool in zip(batches, pools):
            normal = torch.nn.functional.normalize
            users = normal(self.tables[0](self.users[batch]), dim=1)
            items = normal(self.tables[1](self.items[batch]), dim=1)
            others = normal(self.tables[1](pool), dim=1)
            own = (users * items).sum(1)
            scores = users @ others.T / TEMPERATURE
            loss = (torch.logsumexp(scores, 1) - own / TEMPERATURE).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return (time.perf_counter() - began) / len(batches) * (len(order) / BATCH)


def wgmf(args, negatives, epochs):
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(args.wgmf), "train", str(args.data / "gowalla" / "train.txt"), "--format", "grouped",
            "--backend", "cpu", "--loss", "softmax", "--factors", str(FACTORS), "--batch-size", str(BATCH),
            "--negatives", str(negatives), "--temperature", str(TEMPERATURE), "--epochs", str(epochs),
            "--threads", str(args.threads), "--model", f"{folder}/model", "--progress", "json",
        ]  # fmt: skip
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    return min(e["seconds"] for e in events if e.get("event") == "epoch")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--wgmf", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batches", type=int, help="of PyTorch's epoch, of which the whole is told")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pairs = read(args.data / "gowalla" / "train.txt")
    peers = {f"PyTorch {torch.__version__}, {name}": Torch(pairs, sparse) for name, sparse in [("Adam", False), ("SparseAdam", True)]}
    best = {}
    for _ in range(args.repeats):
        for name, peer in peers.items():
            best[name] = min(best.get(name, 1e9), peer.epoch(args.batches))
        best["wgmf"] = min(best.get("wgmf", 1e9), wgmf(args, POOL, args.epochs))
    print(f"an epoch of {len(pairs[0]):,} pairs, {FACTORS} factors, {args.threads} threads, s")
    line = lambda name: print(f"  {name:32} {best[name]:8.2f}  {best[name] / best['wgmf']:6.1f} x wgmf", flush=True)
    for name in best:
        line(name)
    # Last: it takes as long as all the others together.
    best["wgmf, all items"] = wgmf(args, "all", 1)
    line("wgmf, all items")


if __name__ == "__main__":
    main()
