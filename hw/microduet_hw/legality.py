"""What makes an `EngineConfig` legal, as one list of rules."""

from collections import defaultdict

from microduet_hw.config import MAX_ARRAYS, EngineConfig, Part


def check(config: EngineConfig) -> None:
    """Raise ValueError, naming the rule, if `config` breaks one."""
    _check_layers(config)
    _check_arrays(config)
    _check_vector(config)
    _check_parts(config)


def _require(rule: bool, message: str) -> None:
    if not rule:
        raise ValueError(message)


def _check_layers(config: EngineConfig) -> None:
    width = config.vector_elements
    for number, layer in enumerate(config.layers):
        _require(
            min(layer.inputs, layer.outputs) >= 1,
            f"layer {number} must have at least one input and output, not {layer.inputs} and {layer.outputs}",
        )
        _require(layer.inputs == width, f"layer {number} takes {layer.inputs} inputs where {width} arrive")
        width = layer.outputs
    _require(config.output.outputs == 1, f"the output layer has one output, not {config.output.outputs}")


def _check_arrays(config: EngineConfig) -> None:
    mapped = [layer for array in config.arrays for layer in array.layers]
    _require(
        mapped == list(range(len(config.hidden))),
        f"arrays must hold layers 0..{len(config.hidden) - 1} in order, each once, not {mapped}",
    )
    _require(len(config.arrays) <= MAX_ARRAYS, f"an engine has at most {MAX_ARRAYS} arrays, not {len(config.arrays)}")
    for number, array in enumerate(config.arrays):
        follower = config.arrays[number + 1].lanes if number + 1 < len(config.arrays) else array.drain
        consumers = {follower} | ({array.lanes} if len(array.layers) > 1 else set())
        _require(
            consumers == {array.drain},
            f"array {number} drains {array.drain} outputs per cycle, its consumers take {sorted(consumers)}",
        )


def _check_vector(config: EngineConfig) -> None:
    _require(config.dense >= 0, f"dense must be at least 0, not {config.dense}")
    pieces = [(feature.position, feature.dim) for feature in config.features]
    if config.dense:
        pieces.append((config.dense_position, config.dense))
    end = 0
    for position, width in sorted(pieces):
        _require(position == end, f"the vector has a gap or an overlap at element {end}")
        end = position + width
    _require(config.vector_slots >= 2, f"vector_slots must be at least 2, not {config.vector_slots}")
    _require(1 <= config.outstanding <= 64, f"outstanding must be 1 to 64 (AXI IDs), not {config.outstanding}")


def _check_parts(config: EngineConfig) -> None:
    by_feature: dict[int, list[Part]] = defaultdict(list)
    for source in config.sources:
        for part in source.parts:
            _require(0 <= part.feature < len(config.features), f"no feature {part.feature}")
            feature = config.features[part.feature]
            _require(
                0 <= part.row_first < part.row_first + part.rows <= feature.rows
                and 0 <= part.column_first < part.column_first + part.columns <= feature.dim,
                f"a part leaves the table of feature {part.feature}",
            )
            by_feature[part.feature].append(part)
    for number, feature in enumerate(config.features):
        parts = by_feature[number]
        area = sum(part.rows * part.columns for part in parts)
        _require(
            area == feature.rows * feature.dim and not _overlap(parts),
            f"feature {number}: every row and column must be stored exactly once",
        )
        split = any(part.rows != feature.rows for part in parts)
        _require(not (split and feature.lookups > 1), f"feature {number}: a pooled feature cannot be split by rows")


def _overlap(parts: list[Part]) -> bool:
    return any(
        a.row_first < b.row_first + b.rows
        and b.row_first < a.row_first + a.rows
        and a.column_first < b.column_first + b.columns
        and b.column_first < a.column_first + a.columns
        for k, a in enumerate(parts)
        for b in parts[:k]
    )
