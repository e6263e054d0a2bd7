"""Whatever ratings come in, they give the same model, to the bit, and ids come back as they came."""

from __future__ import annotations

import subprocess
import sys
import uuid

import numpy
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest
import scipy.sparse
import wgmf
from conftest import SAMPLE

SETTINGS = dict(solver="als", factors=4, epochs=2)


def bits(model):
    return model.user_factors.tobytes(), model.item_factors.tobytes()


@pytest.fixture(scope="module")
def from_file():
    return wgmf.fit(str(SAMPLE), **SETTINGS)


def as_categories(plays):
    return plays.assign(**{name: plays[name].astype("category") for name in plays.columns[:2]})


FORMS = {
    "pathlib": lambda plays: SAMPLE,
    "several paths": lambda plays: [str(SAMPLE)],
    "pandas": lambda plays: plays,
    "pandas, shuffled": lambda plays: plays.sample(frac=1.0, random_state=3),
    "pandas, objects": lambda plays: plays.astype({name: object for name in plays.columns[:2]}),
    "pandas, categories": as_categories,
    "pandas, single": lambda plays: plays.astype({plays.columns[2]: "float32"}),
    "pandas, Arrow": lambda plays: plays.convert_dtypes(dtype_backend="pyarrow"),
    "polars": polars.from_pandas,
    "polars, categories": lambda plays: polars.from_pandas(as_categories(plays)),
    "polars, lazy": lambda plays: polars.from_pandas(plays).lazy(),
    "pyarrow": lambda plays: pyarrow.Table.from_pandas(plays, preserve_index=False),
    "pyarrow, batches": lambda plays: pyarrow.Table.from_pandas(plays, preserve_index=False)
    .to_batches(max_chunksize=7000)
    and pyarrow.Table.from_batches(
        pyarrow.Table.from_pandas(plays, preserve_index=False).to_batches(max_chunksize=7000)
    ),
    "triples": lambda plays: tuple(plays[name].to_numpy() for name in plays.columns[:3]),
    "lists": lambda plays: tuple(plays[name].tolist() for name in plays.columns[:3]),
    "a dictionary": lambda plays: {
        user: dict(zip(of.iloc[:, 1], of.iloc[:, 2], strict=True)) for user, of in plays.groupby(plays.columns[0])
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_file(form, plays, from_file):
    model = wgmf.fit(FORMS[form](plays), **SETTINGS)
    assert bits(model) == bits(from_file)
    assert list(model.users) == list(from_file.users) and list(model.items) == list(from_file.items)


@pytest.fixture(scope="module")
def numbered():
    """Users and items that are numbers, with rows and columns that nobody has, and values."""
    draw = numpy.random.default_rng(5)
    users, items = draw.integers(0, 300, 6000) * 2, draw.integers(3, 150, 6000)
    keep = numpy.unique(users * 1000 + items, return_index=True)[1]
    users, items = users[keep], items[keep]
    return users, items, draw.integers(1, 6, len(users)).astype(float)


SPARSE = {
    "csr, int32": lambda coo: coo.tocsr(),
    "csr, float32": lambda coo: coo.tocsr().astype(numpy.float32),
    "csr, integers": lambda coo: coo.tocsr().astype(numpy.int64),
    "csr array": lambda coo: scipy.sparse.csr_array(coo),
    "csc": lambda coo: coo.tocsc(),
    "coo": lambda coo: coo,
}


def wide(csr):
    csr.indices, csr.indptr = csr.indices.astype(numpy.int64), csr.indptr.astype(numpy.int64)
    return csr


SPARSE["csr, int64"] = lambda coo: wide(coo.tocsr())


@pytest.mark.parametrize("form", SPARSE)
def test_sparse_matrices_are_the_triples_of_their_numbers(form, numbered):
    users, items, values = numbered
    matrix = SPARSE[form](scipy.sparse.coo_matrix((values, (users, items)), shape=(700, 200)))
    triples = wgmf.fit((users, items, values), **SETTINGS)
    model = wgmf.fit(matrix, **SETTINGS)
    assert bits(model) == bits(triples)
    assert model.users.dtype == numpy.int64
    assert set(model.users.tolist()) == set(users.tolist()) and set(model.items.tolist()) == set(items.tolist())


def test_repeated_entries_of_a_matrix_are_summed_and_of_triples_the_last_counts():
    twice = ([0, 0, 1], [0, 0, 1], [1.0, 2.0, 5.0])
    matrix = scipy.sparse.coo_matrix((twice[2], twice[:2]))
    assert wgmf.Dataset(matrix).to_pandas()["rating"].tolist() == [3.0, 5.0]
    assert wgmf.Dataset(twice).to_pandas()["rating"].tolist() == [2.0, 5.0]
    assert wgmf.Dataset(twice, duplicates="mean").to_pandas()["rating"].tolist() == [1.5, 5.0]


def test_the_latest_of_several_ratings_counts():
    frame = pandas.DataFrame(
        {"user": [1, 1, 2], "item": [7, 7, 7], "rating": [5.0, 3.0, 4.0], "timestamp": pandas.to_datetime(["2026-02-01", "2026-01-01", "2026-01-01"])}
    )
    for table in (frame, polars.from_pandas(frame), frame.assign(timestamp=[20, 10, 10]), frame.assign(timestamp=frame["timestamp"].astype(str))):
        assert wgmf.Dataset(table).to_pandas()["rating"].tolist() == [5.0, 4.0]


IDS = {
    "int64": (numpy.array([3, 20, 100]), int),
    "int8": (numpy.array([3, 20, 100], dtype=numpy.int8), int),
    "uint64": (numpy.array([3, 20, 100], dtype=numpy.uint64), int),
    "large": ([2**70, 3, 4], int),
    "str": (["ann", "bob", "eve"], str),
    "uuid": ([uuid.UUID(int=n) for n in (1, 2, 3)], uuid.UUID),
    "float": (numpy.array([1.5, 2.5, 3.5]), float),
    "moments": (pandas.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]), pandas.Timestamp),
    "mixed": ([1, "two", 3.5], object),
    "nullable": (pandas.array([3, 20, 100], dtype="Int64"), int),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_come_back_as_they_came(kind):
    ids, expected = IDS[kind]
    pairs = pandas.DataFrame({"user": ids, "item": ["x", "y", "x"], "rating": [1.0, 2.0, 3.0]})
    pairs = pandas.concat([pairs, pairs.assign(item=["y", "z", "z"])])
    model = wgmf.fit(pairs, **SETTINGS | dict(factors=1))
    assert set(model.users.tolist()) == set(pandas.Series(ids).tolist())
    assert all(isinstance(one, expected) for one in model.users.tolist())
    # They are found by what they are.
    lists = model.recommend(list(model.users), n=1)
    assert set(lists["user"]) <= set(model.users.tolist())


def test_columns_are_found_by_their_names():
    frame = pandas.DataFrame({"stars": [1.0, 2.0], "note": ["a", "b"], "movieId": [7, 8], "user_id": [1, 2]})
    assert wgmf.Dataset(frame).items.tolist() == [7, 8]
    by_name = wgmf.Dataset(frame, columns=["note", "movieId", "stars"])
    assert by_name.users.tolist() == ["a", "b"]
    assert wgmf.Dataset(polars.from_pandas(frame), columns="note,movieId").to_pandas()["rating"].tolist() == [1.0, 1.0]


def test_what_a_frame_holds_beside_does_not_matter(plays, from_file):
    beside = plays.assign(nothing=None, when=pandas.Timestamp("2026-01-01"))
    columns = list(plays.columns[:3])
    assert bits(wgmf.fit(beside, columns=columns, **SETTINGS)) == bits(from_file)


WEIGHTED = {
    "a column of pandas": lambda frame: dict(data=frame, weights="trust"),
    "a column of polars": lambda frame: dict(data=polars.from_pandas(frame), weights="trust"),
    "a column of pyarrow": lambda frame: dict(data=pyarrow.Table.from_pandas(frame), weights="trust"),
    "an array": lambda frame: dict(data=frame, weights=frame["trust"].to_numpy()),
    "arrays": lambda frame: dict(data=tuple(frame[n].to_numpy() for n in ("user", "item", "rating")), weights=list(frame["trust"])),
}


def test_what_ratings_count_may_come_in_any_form(numbered, tmp_path):
    users, items, values = numbered
    frame = pandas.DataFrame({"user": users, "item": items, "rating": values})
    frame["trust"] = 0.1 + numpy.arange(len(users)) % 4
    frame["timestamp"] = 1_600_000_000 + 86_400 * (numpy.arange(len(users)) % 500)
    plain = wgmf.fit(frame, columns="user,item,rating", **SETTINGS)
    path = tmp_path / "counted.csv"
    frame.to_csv(path, index=False)
    of_file = wgmf.fit(path, weights="trust", **SETTINGS)
    assert bits(of_file) != bits(plain)
    for form in WEIGHTED.values():
        how = form(frame)
        columns = {} if isinstance(how["data"], tuple) else {"columns": "user,item,rating"}
        assert bits(wgmf.fit(**how, **columns, **SETTINGS)) == bits(of_file)
    aged = wgmf.fit(frame, half_life=90, **SETTINGS)
    assert bits(aged) == bits(wgmf.fit(path, half_life=90, **SETTINGS)) != bits(plain)
    wgmf.fit(frame, "bayes", weights="trust", samples=2, burn_in=1, factors=2)
    for how, why in [
        (dict(weights="nothing"), "no column is called"),
        (dict(weights=[1.0, 2.0]), "each rating needs one"),
        (dict(weights=-frame["trust"].to_numpy()), "0 or more"),
        (dict(half_life=0), "above 0"),
        (dict(columns="user,item,rating", half_life=9), "timestamp"),
    ]:
        with pytest.raises(wgmf.Error, match=why):
            wgmf.fit(frame, **how, **SETTINGS)


WRITERS = {
    "plays.parquet": lambda plays, path: plays.to_parquet(path),
    "indexed.parquet": lambda plays, path: plays.sample(frac=1.0, random_state=3).to_parquet(path),
    "polars.parquet": lambda plays, path: polars.from_pandas(as_categories(plays)).write_parquet(path),
    "plays.feather": lambda plays, path: plays.to_feather(path),
    "plays.arrow": lambda plays, path: polars.from_pandas(plays).write_ipc(path, compression="lz4"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_parquet_and_arrow_files_are_read_by_their_path(name, plays, from_file, tmp_path):
    path = tmp_path / name
    WRITERS[name](plays, path)
    model = wgmf.fit(path, **SETTINGS)
    assert bits(model) == bits(from_file)
    assert list(model.items) == list(from_file.items)


def test_what_the_command_writes_in_parquet_others_read(from_file, tmp_path):
    from_file.save(tmp_path / "m")

    def wgmf_command(line):
        subprocess.run([sys.executable, "-m", "wgmf", *line.split()], check=True, cwd=tmp_path)

    wgmf_command("export m --format parquet --output out")
    wgmf_command("recommend m --all -n 3 --output lists.parquet")
    wgmf_command("recommend m --all -n 3 --output lists.feather")
    wgmf_command("recommend m --all -n 3 --output lists.csv")
    items = polars.read_parquet(tmp_path / "out" / "items.parquet")
    assert items["id"].to_list() == list(from_file.items)
    assert numpy.array_equal(items["factors"].to_numpy(), from_file.item_factors)
    assert pyarrow.parquet.read_schema(tmp_path / "out" / "users.parquet").metadata[b"wgmf.solver"] == b"als"
    lists = pandas.read_parquet(tmp_path / "lists.parquet")
    of_csv = pandas.read_csv(tmp_path / "lists.csv", dtype={name: lists[name].dtype for name in lists.columns})
    pandas.testing.assert_frame_equal(lists, of_csv)
    pandas.testing.assert_frame_equal(lists, polars.read_ipc(tmp_path / "lists.feather").to_pandas(), check_dtype=False)
