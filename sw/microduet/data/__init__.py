"""Click logs: the data sets of this field and a generated one whose best possible AUC is known."""

from microduet.data.opening import open_data
from microduet.data.schema import PARTS, Chunk, Column, DataSchema, DataSet, DenseColumn, Part

__all__ = ["PARTS", "Chunk", "Column", "DataSchema", "DataSet", "DenseColumn", "Part", "open_data"]
