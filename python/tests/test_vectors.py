"""Programs that search vectors give the lists of the model."""

from __future__ import annotations

import json

import numpy
import pytest
import wgmf
from conftest import SAMPLE, needs

MODELS = {
    "als": dict(solver="als", factors=8, epochs=4),
    "ials": dict(solver="ials", factors=8, epochs=4),
    "softmax": dict(loss="softmax", factors=8, epochs=1, negatives=64, device="cpu"),
    "bayes": dict(solver="bayes", factors=4, samples=12, burn_in=4),
}
USERS, N = 100, 20


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return wgmf.fit(str(SAMPLE), **MODELS[request.param])


@pytest.fixture(scope="module")
def users(model):
    return model.users[:: len(model.users) // USERS][:USERS].tolist()


def same(model, users, lists, **how):
    """That these lists of items are those of the model, but for items whose scores single precision cannot tell apart."""
    lengths, expected = [len(one) for one in lists], model.recommend(users, n=N, **how)
    assert lengths == [N] * len(users) and len(expected) == N * len(users)
    wanted, scores = (expected[name].to_numpy().reshape(-1, N) for name in ("item", "score"))
    other, far = 0, 0.0
    for user, own, best, score in zip(users, lists, wanted, scores, strict=True):
        for at in numpy.flatnonzero(numpy.asarray(own, dtype=object) != best):
            known = dict(zip(best, score, strict=True))
            instead = known.get(own[at], score[-1])
            other, far = other + 1, max(far, abs(instead - score[at]) / max(abs(score[at]), 1e-3))
    assert other <= 4 and far < 1e-5, (other, far)


def unseen(model, user, places):
    seen = set(model.seen(user).tolist())
    return [model.items[place] for place in places if place not in seen][:N]


def test_products_are_the_scores(model, users):
    products = model.query_vectors(users) @ model.item_vectors().T
    own = model.global_mean + model.user_bias[model._core.rows_of("user", users)]
    if not model._core.is_bayesian:
        listed = model.recommend(users, n=len(model.items), include_seen=True)
        places = {item: place for place, item in enumerate(model.items)}
        rows = numpy.repeat(numpy.arange(len(users)), len(model.items))
        products = (products + own[:, None])[rows, [places[item] for item in listed["item"]]]
        assert numpy.abs(products - listed["score"]).max() < 1e-5
    vectors, queries = model.item_vectors(cosine=True), model.query_vectors(users, cosine=True)
    assert numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors.shape[1] == queries.shape[1] == model.item_vectors().shape[1] + 1
    some = model.items[[5, 3]].tolist()
    assert (model.item_vectors(some, cosine=True) == vectors[[5, 3]]).all()


def test_who_is_new_is_searched_for_once_folded_in(model):
    if model.unit == "score":
        pytest.skip("folded in by steps: asked of the other models")
    new = {"Zoe": {model.items[3]: 5.0, model.items[40]: 4.0}}
    grown = model.fold_in(new)
    order = numpy.argsort(-(grown.item_vectors() @ grown.query_vectors("Zoe")[0]), kind="stable")
    same(grown, ["Zoe"], [unseen(grown, "Zoe", order)])


@pytest.mark.parametrize("cosine", [False, True])
def test_faiss(model, users, cosine):
    needs("faiss", "FAISS")
    index = model.to_faiss(cosine=cosine)
    _, found = index.search(model.query_vectors(users, cosine=cosine), N)
    same(model, users, model.items[found], include_seen=True)
    import faiss

    lists = []
    for user in users:
        left_out = faiss.IDSelectorNot(faiss.IDSelectorBatch(model.seen(user).astype(numpy.int64)))
        how = faiss.SearchParameters(sel=left_out)
        _, found = index.search(model.query_vectors(user, cosine=cosine), N, params=how)
        lists.append(model.items[found[0]])
    same(model, users, lists)


def test_an_index_of_faiss_by_distance_ranks_alike(model, users):
    needs("faiss", "FAISS")
    import faiss

    vectors = model.item_vectors(cosine=True)
    index = model.to_faiss(faiss.IndexFlatL2(vectors.shape[1]), cosine=True)
    queries = model.query_vectors(users, cosine=True)
    _, found = index.search(queries / numpy.linalg.norm(queries, axis=1, keepdims=True), N)
    hits = [len(set(a) & set(b)) for a, b in zip(model.items[found], [model.recommend(u, n=N, include_seen=True)["item"] for u in users], strict=True)]
    # Squares of distances are less exact than products.
    assert numpy.mean(hits) > 0.99 * N
    graph = model.to_faiss("HNSW32,Flat")
    assert graph.ntotal == len(model.items)
    with pytest.raises(wgmf.Error, match="holds 1500 vectors already"):
        model.to_faiss(graph)
    with pytest.raises(wgmf.Error, match="has 3 dimensions"):
        model.to_faiss(faiss.IndexFlatIP(3))


def test_qdrant(model, users):
    needs("qdrant_client", "Qdrant")
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    # By cosine too where a bias has to be brought into it.
    for cosine in (False, True)[: 1 + (model.settings["solver"] == "als")]:
        model.to_qdrant(client, "items", cosine=cosine, force=cosine)
        said = client.get_collection("items").config.metadata
        assert said["distance"] == ("cosine" if cosine else "inner product") and "factors" in said["query"]
        lists = []
        for user, query in zip(users, model.query_vectors(users, cosine=cosine), strict=True):
            left_out = models.Filter(must_not=[models.HasIdCondition(has_id=model.seen(user).tolist())])
            found = client.query_points("items", query=query.tolist(), query_filter=left_out, limit=N)
            lists.append([point.payload["id"] for point in found.points])
        same(model, users, lists)
    with pytest.raises(wgmf.Error, match="there is a collection 'items' already; give force=True"):
        model.to_qdrant(client, "items")
    assert client.count("items").count == len(model.items)


def test_duckdb(model, users):
    needs("duckdb", "DuckDB")
    import duckdb

    items, queries = model.to_arrow(), model.to_arrow("user")
    assert "factors" in json.loads(items.schema.metadata[b"wgmf"])["query"]
    asked = duckdb.connect()
    asked.register("items", items)
    asked.register("queries", queries)
    asked.register("asked", wgmf._frames.frame({"id": users}))
    seen = [(user, item) for user in users for item in model.items[model.seen(user)]]
    asked.register("seen", wgmf._frames.frame({"user": [a for a, _ in seen], "item": [b for _, b in seen]}))
    found = asked.execute(
        """
        SELECT q.id, i.id FROM queries q JOIN asked USING (id), items i
        WHERE NOT EXISTS (FROM seen WHERE seen.user = q.id AND seen.item = i.id)
        QUALIFY row_number() OVER (
            PARTITION BY q.id ORDER BY array_inner_product(q.embedding, i.embedding) DESC) <= 20
        ORDER BY q.id, array_inner_product(q.embedding, i.embedding) DESC
        """
    ).fetchall()
    lists = {user: [] for user in users}
    for user, item in found:
        lists[user].append(item)
    same(model, users, list(lists.values()))


def test_duckdb_reads_what_is_exported(tmp_path):
    needs("duckdb", "DuckDB")
    import duckdb

    model = wgmf.fit(str(SAMPLE), **MODELS["als"])
    model.export(tmp_path / "tables", "csv")
    factors = ", ".join(f"f{at}" for at in range(8))
    user = model.users[0]
    found = duckdb.execute(
        f"""
        WITH items AS (SELECT id, [{factors}, bias]::FLOAT[9] AS embedding FROM read_csv('{tmp_path}/tables/items.csv')),
             query AS (SELECT [{factors}, 1]::FLOAT[9] AS embedding FROM read_csv('{tmp_path}/tables/users.csv') WHERE id = ?)
        SELECT i.id FROM items i, query q ORDER BY array_inner_product(q.embedding, i.embedding) DESC LIMIT {N}
        """,
        [user],
    ).fetchall()
    same(model, [user], [[item for (item,) in found]], include_seen=True)


def test_gensim(model, users):
    needs("gensim", "gensim")
    keyed = model.to_gensim()
    queries = model.query_vectors(users, cosine=True)
    lists = []
    for user, query in zip(users, queries, strict=True):
        seen = set(model.items[model.seen(user)])
        found = keyed.similar_by_vector(query, topn=N + len(seen))
        lists.append([item for item, _ in found if item not in seen][:N])
    same(model, users, lists)


def test_gensim_reads_what_is_exported(tmp_path):
    needs("gensim", "gensim")
    from gensim.models import KeyedVectors

    model = wgmf.fit(str(SAMPLE), **MODELS["ials"])
    model.export(tmp_path / "words", "word2vec")
    keyed = KeyedVectors.load_word2vec_format(tmp_path / "words" / "items.w2v.txt")
    for item in model.items[:20]:
        alike = model.similar_items(item, n=5)["similar"].tolist()
        assert [name for name, _ in keyed.most_similar(item.replace(" ", "_"), topn=5)] == [one.replace(" ", "_") for one in alike]


def test_what_is_no_product_is_said():
    clipped = wgmf.fit(str(SAMPLE), clip=True, **MODELS["bayes"])
    with pytest.raises(wgmf.Error, match="`clip`.*samples=False"):
        clipped.item_vectors()
    assert clipped.item_vectors(samples=False).shape == (1500, 5)
    nothing = wgmf.fit(([1, 2], ["a", "b"], [3.0, 3.0]), solver="als", factors=0)
    with pytest.raises(wgmf.Error, match="neither factors nor biases"):
        nothing.item_vectors()
    with pytest.raises(wgmf.Error, match="user 'Nobody' is not in the model"):
        clipped.query_vectors("Nobody", samples=False)
    with pytest.raises(wgmf.Error, match="`side`"):
        clipped.to_arrow("items")


def test_what_is_not_installed_is_said(monkeypatch):
    import builtins

    imported = builtins.__import__

    def without(name, *rest, **more):
        if name.split(".")[0] in ("faiss", "qdrant_client", "gensim", "pyarrow"):
            raise ImportError(name)
        return imported(name, *rest, **more)

    model = wgmf.fit(str(SAMPLE), **MODELS["ials"])
    monkeypatch.setattr(builtins, "__import__", without)
    for ask, package in (
        (lambda: model.to_faiss(), "faiss-cpu"),
        (lambda: model.to_qdrant(None, "items"), "qdrant-client"),
        (lambda: model.to_gensim(), "gensim"),
        (lambda: model.to_arrow(), "pyarrow"),
    ):
        with pytest.raises(wgmf.Error, match=f"pip install {package}"):
            ask()
