"""Whether the parts of a bundle fit each other: each may be whole and of another model."""

import typing

import numpy as np

from microduet.bundle_files import CONFIG, MANIFEST, PLAN, WEIGHTS
from microduet.errors import BundleError, PlacementError
from microduet.planner.physical import check_products, physical_shape
from microduet_hw.config import Precision

if typing.TYPE_CHECKING:
    from microduet.bundle import Bundle


def check_parts(bundle: "Bundle") -> None:
    """Raise BundleError, naming the file, unless plan, tables and weights are of the bundle's configuration."""
    _check_plan(bundle)
    _check_layers(bundle)
    _check_tables(bundle)


def _check_plan(bundle: "Bundle") -> None:
    config, plan, where = bundle.config, bundle.plan, bundle.path / PLAN
    if (plan.sources, plan.precision) != (config.sources, config.precision):
        raise BundleError(f"{where}: is of other sources or precision than {CONFIG}")
    try:
        check_products(bundle.shape, plan.products)
        tables = physical_shape(bundle.shape, plan.products).features
    except PlacementError as error:
        raise BundleError(f"{where}: {error}") from error
    sizes = [[(table.rows, table.dim, table.lookups) for table in part] for part in (tables, config.features)]
    if sizes[0] != sizes[1]:
        raise BundleError(f"{where}: its tables are not those of {CONFIG}")


def _check_layers(bundle: "Bundle") -> None:
    config, where = bundle.config, bundle.path / WEIGHTS
    if len(bundle.model.layers) != len(config.layers):
        raise BundleError(f"{where}: must hold {len(config.layers)} layers, not {len(bundle.model.layers)}")
    for number, (layer, wanted) in enumerate(zip(bundle.model.layers, config.layers, strict=True)):
        shape = (wanted.outputs, wanted.inputs)
        if layer.weights.shape != shape or layer.bias.shape != shape[:1]:
            raise BundleError(f"{where}: weights of layer {number} must be {shape}, not {layer.weights.shape}")
        limit = (1 << config.precision.width - 1) - 1
        if np.abs(layer.weights).max(initial=0) > limit:
            raise BundleError(f"{where}: weights of layer {number} must be within {limit}")
        if not 0 <= layer.shift < 64 or not {layer.input_zero_point, layer.output_zero_point} <= set(range(256)):
            raise BundleError(f"{where}: shift or zero point of layer {number} is out of range")
        given, needed = layer.multiplier, config.precision is Precision.INT8 and bool(config.hidden)
        if given.shape != shape[:1] if given is not None else needed:
            raise BundleError(f"{where}: layer {number} must have {shape[0]} multipliers in int8")


def _check_tables(bundle: "Bundle") -> None:
    features, where = bundle.shape.features, bundle.path / MANIFEST
    if len(bundle.tables) != len(features):
        raise BundleError(f"{where}: must name {len(features)} tables, not {len(bundle.tables)}")
    for number, (table, feature) in enumerate(zip(bundle.tables, features, strict=True)):
        shape, dtype = (feature.rows, feature.dim), bundle.input.dtype
        if isinstance(table, np.ndarray) and (table.shape != shape or table.dtype != dtype):
            raise BundleError(f"{where}: table {number} must be {dtype} {shape}, not {table.dtype} {table.shape}")
