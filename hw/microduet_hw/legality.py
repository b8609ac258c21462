"""What makes an `EngineConfig` legal, as one list of rules."""

from microduet_hw.config import CHECK_BITS, MAX_ARRAYS, EngineConfig, Payload, UserPart
from microduet_hw.part_rules import check_parts, require


def check(config: EngineConfig) -> None:
    """Raise ValueError, naming the rule, if `config` breaks one."""
    _check_bottom(config)
    _check_layers(config)
    _check_arrays(config)
    _check_vector(config)
    check_parts(config)
    if config.row_check:
        _check_rows(config)
    if config.user:
        _check_user(config, config.user)


def _check_rows(config: EngineConfig) -> None:
    for number in config.channels:
        for part in config.sources[number].parts:
            size, stride = part.columns * config.precision.width + CHECK_BITS, 8 << part.stride_log2
            require(
                size <= stride,
                f"source {number}, feature {part.feature}: a row and its check word, {size} bits, must lie within the "
                f"row's stride, not {stride}",
            )


def _check_layers(config: EngineConfig) -> None:
    width = config.dense if config.bottom else config.vector_elements
    for number, layer in enumerate(config.layers):
        if config.bottom and number == config.bottom:
            width += config.feature_elements
        require(
            min(layer.inputs, layer.outputs) >= 1,
            f"layer {number} must have at least one input and output, not {layer.inputs} and {layer.outputs}",
        )
        require(layer.inputs == width, f"layer {number} takes {layer.inputs} inputs where {width} arrive")
        width = layer.outputs
    require(config.output.outputs == 1, f"the output layer has one output, not {config.output.outputs}")


def _check_arrays(config: EngineConfig) -> None:
    mapped = [layer for array in config.arrays for layer in array.layers]
    require(
        mapped == list(range(len(config.hidden))),
        f"arrays must hold layers 0..{len(config.hidden) - 1} in order, each once, not {mapped}",
    )
    require(len(config.arrays) <= MAX_ARRAYS, f"an engine has at most {MAX_ARRAYS} arrays, not {len(config.arrays)}")
    for number, array in enumerate(config.arrays):
        follower = config.arrays[number + 1].lanes if number + 1 < len(config.arrays) else array.drain
        consumers = {follower} | ({array.lanes} if len(array.layers) > 1 else set())
        require(
            consumers == {array.drain},
            f"array {number} drains {array.drain} outputs per cycle, its consumers take {sorted(consumers)}",
        )

    require(
        not config.bottom or len(config.arrays[0].layers) > config.bottom,
        f"the first array must hold the {config.bottom} bottom layers and the one behind them",
    )


def _check_bottom(config: EngineConfig) -> None:
    require(
        0 <= config.bottom < max(1, len(config.hidden)),
        f"a bottom MLP has fewer layers than the {len(config.hidden)} hidden ones, not {config.bottom}",
    )
    if config.bottom:
        require(config.dense > 0, f"a bottom MLP needs dense elements, not {config.dense}")
        require(config.feature_elements > 0, "the layer behind a bottom MLP needs features, not 0 elements")
        require(
            config.dense_position == 0,
            f"a bottom MLP's dense elements lead the vector: dense_position is 0, not {config.dense_position}",
        )


def _check_user(config: EngineConfig, user: UserPart) -> None:
    require(not config.bottom, "an engine with users has no bottom MLP: dense inputs are the user's")
    require(0 <= user.layer <= len(config.hidden), f"the user's part is of layer 0 to {len(config.hidden)}, not "
            f"{user.layer}")  # fmt: skip
    first = user.layer == len(config.hidden) or any(array.layers[0] == user.layer for array in config.arrays)
    require(first, f"layer {user.layer}, where users come in, must be the first of its array")
    for name, low, high in (
        ("elements", 1, 1 << 14),
        ("lanes", 1, 64),
        ("slots", 1, 64),
        ("waiting", 2, 1 << 16),
        ("top_k", 1, 64),
        ("watchdog", 2, 1 << 31),
    ):
        require(low <= getattr(user, name) <= high, f"user {name} must be {low} to {high}, not {getattr(user, name)}")
    require(64 % user.lanes == 0, f"user lanes must divide the 64 bytes of a beat, not {user.lanes}")
    require(user.bytes < 1 << 16, f"a user vector has less than 2^16 bytes, not {user.bytes}")
    require(not user.waiting & (user.waiting - 1), f"user waiting must be a power of two, not {user.waiting}")
    outputs = config.layers[user.layer].outputs
    require(
        user.payload is Payload.VECTOR or user.elements == outputs,
        f"sums of layer {user.layer} are {outputs}, not {user.elements}",
    )


def _check_vector(config: EngineConfig) -> None:
    require(config.dense >= 0, f"dense must be at least 0, not {config.dense}")
    pieces = [(feature.position, feature.dim) for feature in config.features]
    if config.dense and not config.bottom:
        pieces.append((config.dense_position, config.dense))
    end = 0
    for position, width in sorted(pieces):
        require(position == end, f"the vector has a gap or an overlap at element {end}")
        end = position + width
    require(config.vector_slots >= 2, f"vector_slots must be at least 2, not {config.vector_slots}")
    require(2 <= config.outstanding <= 64, f"outstanding must be 2 to 64 (AXI IDs), not {config.outstanding}")
