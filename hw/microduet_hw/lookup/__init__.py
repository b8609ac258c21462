"""The memory side of the engine: from packets of indices to assembled vectors."""
