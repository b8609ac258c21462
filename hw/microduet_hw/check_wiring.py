"""What joins a `WeightCheck` to an engine: the memories that it reads."""

from amaranth.hdl import Module
from amaranth.lib.wiring import connect

from microduet_hw.config import EngineConfig
from microduet_hw.loader import Loader, Target
from microduet_hw.output_layer import OutputLayer, output_layer_shape
from microduet_hw.pe_array import PeArray, pe_array_shape
from microduet_hw.user_shape import user_shape
from microduet_hw.user_stage import UserStage
from microduet_hw.weight_check import CheckedMemory, WeightCheck

OUTPUT_TARGETS = {
    "check_weights": Target.OUTPUT_WEIGHTS,
    "check_parameters": Target.OUTPUT_PARAMETERS,
    "check_sigmoid": Target.SIGMOID,
}
"""What the output layer's ports read, as load beats name it."""

USER_TARGETS = {
    "check_model": Target.MODEL,
    "check_weights": Target.USER_WEIGHTS,
    "check_bias": Target.USER_BIAS,
}
"""What the ports of an engine's users read."""


def checked_memories(config: EngineConfig) -> tuple[CheckedMemory, ...]:
    """What is checked in an engine: weights and parameters of every array, then what output layer and users have."""
    memories: list[CheckedMemory] = []
    for unit, array in enumerate(config.arrays):
        shape = pe_array_shape(config, array).drain.requantiser
        steps = -(-array.pes // array.requantised)
        tail = shape.lanes * shape.pe.chain_bits
        memories.append(CheckedMemory(target=Target.WEIGHTS, unit=unit, bits=tail, steps=steps))
        memories.append(CheckedMemory(target=Target.PARAMETERS, unit=unit, bits=shape.parameters.size))
    output = output_layer_shape(config).checks
    memories += [CheckedMemory(target=OUTPUT_TARGETS[name], bits=bits) for name, bits in output.items()]
    users = user_shape(config).checks if config.user else {}
    memories += [CheckedMemory(target=USER_TARGETS[name], bits=bits) for name, bits in users.items()]
    return tuple(memories)


def connect_check(m: Module, check: WeightCheck, loader: Loader, arrays: list[PeArray], output: OutputLayer) -> None:
    """Have `check` read what the beats of `loader` name, in the order of `checked_memories`."""
    ports = (getattr(check, f"memory_{k}") for k in range(len(check.memories)))
    m.d.comb += [check.i_reads.eq(loader.o_reads), check.i_unit.eq(loader.o_unit)]
    for array in arrays:
        m.d.comb += next(ports).data.eq(array.pairs.tail)
        connect(m, next(ports), array.check)
    m.d.comb += output.check_take.eq(check.o_take)
    for name in OUTPUT_TARGETS:
        if name in output.signature.members:
            connect(m, next(ports), getattr(output, name))


def connect_user_check(m: Module, check: WeightCheck, users: UserStage) -> None:
    """Have `check` read what `users` were loaded with: packets that come wait for the row that is read."""
    m.d.comb += users.i_hold.eq(check.o_busy)
    for name, target in USER_TARGETS.items():
        if name in users.signature.members:
            (port,) = (k for k, memory in enumerate(check.memories) if memory.target is target)
            connect(m, getattr(check, f"memory_{port}"), getattr(users, name))
