"""What comes out: DataFrames with the user's own ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._data import failed

try:
    import pandas
except ImportError:
    raise failed("settings", "results are DataFrames, for which pandas is needed: pip install pandas") from None

if TYPE_CHECKING:
    import polars
    import pyarrow


class Frame(pandas.DataFrame):  # type: ignore[misc, unused-ignore]
    """A DataFrame of pandas that knows two other forms of itself."""

    @property
    def _constructor(self) -> Any:
        return Frame

    def to_arrow(self) -> pyarrow.Table:
        """A table of pyarrow's."""
        import pyarrow

        return pyarrow.Table.from_pandas(pandas.DataFrame(self), preserve_index=self.index.name is not None)

    def to_polars(self) -> polars.DataFrame:
        """A DataFrame of polars."""
        import polars

        table = self.to_arrow()
        return polars.DataFrame({name: polars.Series(table.column(name)) for name in table.column_names})


class History(Frame):
    """Figures of epochs. What is drawn where nobody says what are errors and figures of lists, or where there are none the
    objective: sums and seconds would leave nothing of them to be seen."""

    @property
    def plot(self) -> Any:
        """As pandas has it: `plot()`, `plot(logy=True)`, `plot.line(...)`; all columns are in `Frame(history).plot`."""
        beside = ("objective", "squared_error", "unobserved", "regularization", "ranked_users", "fallback")
        named = [name for name in self.columns if name not in beside and not name.endswith("seconds")]
        shown = [name for name in named if self[name].notna().any()]
        return pandas.DataFrame(self[shown or ["objective"]]).plot


def frame(columns: dict[str, Any], index: str | None = None) -> Frame:
    """A frame of these columns, one of which may be the index."""
    made = Frame(columns)
    return made if index is None else Frame(made.set_index(index))
