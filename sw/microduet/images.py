"""What the simulated memory holds: the tables of a bundle, and products of them."""

from microduet.bundle import Bundle
from microduet.generated import GeneratedTable
from microduet_sim.tables import GeneratedTable as GeneratedImage
from microduet_sim.tables import ProductTable, StoredTable, TableImage


def table_images(bundle: Bundle) -> list[TableImage]:
    """Contents of the simulated memory, per physical table."""
    images = [
        GeneratedImage(
            seed=table.seed,
            table=table.table,
            amplitude_log2=table.amplitude_log2,
            fraction=bundle.input.fraction,
            scale=bundle.input.scale,
        )
        if isinstance(table, GeneratedTable)
        else StoredTable(rows=table)
        for table in bundle.tables
    ]
    features = bundle.shape.features
    return [
        ProductTable(
            first=images[first],
            second=images[second[0]],
            second_rows=features[second[0]].rows,
            first_columns=features[first].dim,
        )
        if second
        else images[first]
        for first, *second in bundle.factors
    ]
