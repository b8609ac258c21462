"""Tables as files of quantised rows, or as rules of a manifest."""

import typing
from pathlib import Path

import numpy as np

from microduet.bundle import TableRecord
from microduet.generated import GeneratedTable

if typing.TYPE_CHECKING:
    from microduet.quantised import Quantised
    from microduet.traced import StoredTable, Table


def write_tables(folder: Path, tables: "tuple[Table, ...]", quantised: "Quantised") -> tuple[TableRecord, ...]:
    """Write the stored ones of `tables`, each once, below `folder`; what a manifest says of all of them."""
    records: list[TableRecord] = []
    written: dict[int, str] = {}
    for number, table in enumerate(tables):
        if isinstance(table, GeneratedTable):
            records.append(TableRecord(generated=table))
            continue
        if id(table.weight) not in written:
            written[id(table.weight)] = name = f"tables/{number:03}.npy"
            (folder / "tables").mkdir(exist_ok=True)
            _write_table(folder / name, table, quantised)
        records.append(TableRecord(file=written[id(table.weight)]))
    return tuple(records)


def _write_table(path: Path, table: "StoredTable", quantised: "Quantised") -> None:
    dtype = quantised.input.dtype.newbyteorder("<")
    shape = tuple(int(size) for size in table.weight.shape)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    # Not a mapped file: writing one to a full disk ends the process instead of raising an error.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for rows in table.slices():
            file.write(quantised.input.integers(rows).astype(dtype).tobytes())
