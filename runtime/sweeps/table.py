"""A sweep's tables as files: CSV always, Parquet where there is what writes it."""

import csv
import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

NO_PARQUET = (
    "note: no table.parquet: that needs pyarrow. Install it with: pip install 'gradwright[parquet]'"
)


def csv_text(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return columns as CSV with a header.

    A float has as many digits as give it back exactly; None is an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def parquet_bytes(columns: Mapping[str, Sequence[Any]]) -> bytes | None:
    """Return columns as a Parquet file; None if pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        return None
    import pyarrow
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({name: list(v) for name, v in columns.items()}), sink)
    return sink.getvalue()
