"""The two files of one format: JSON lines and Parquet, written row by row."""

import json
from pathlib import Path
from typing import Any, Self

from trajectories.export.rows import Row

_BATCH = 64
"""Rows of one Parquet write."""


class Sink:
    """Writes `<stem>.jsonl` and `<stem>.parquet`; a context manager, and complete when it is left."""

    def __init__(self, folder: Path, stem: str, schema: Any) -> None:
        """Name the files; takes the `pyarrow.Schema` of the rows."""
        self._lines_path, self._table_path = folder / f"{stem}.jsonl", folder / f"{stem}.parquet"
        self._schema = schema
        self._batch: list[Row] = []
        self.rows = 0

    def __enter__(self) -> Self:
        import pyarrow.parquet

        self._lines = self._lines_path.open("w", encoding="utf-8")
        self._table = pyarrow.parquet.ParquetWriter(self._table_path, self._schema, compression="zstd")
        return self

    def add(self, row: Row) -> None:
        """Write one row."""
        self._lines.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._batch.append(row)
        self.rows += 1
        if len(self._batch) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if self._batch:
            self._table.write_table(pyarrow.Table.from_pylist(self._batch, schema=self._schema))
            self._batch = []

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._lines.close()
        self._table.close()
