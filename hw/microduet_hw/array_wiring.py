"""What joins a PeArray to its pairs and to the loader, for whoever has them all in one module."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Value

from microduet_hw.loader import Loader, Target
from microduet_hw.pe import PAIR_BITS, PePair
from microduet_hw.pe_array import PeArray, PeArrayShape


def connect_pairs(m: Module, control: Any, *, shape: PeArrayShape, pes: int, prefix: str) -> None:
    """Add the pairs that are told `control` (`PairControl`), as ``prefix_K``, chained as docs/architecture.md says."""
    drained = shape.drain.requantiser.lanes
    pairs = [PePair(shape=shape.pe) for _ in range(pes // 2)]
    chains = [pair.o_chain_0 for pair in pairs] + [pair.o_chain_1 for pair in pairs]
    m.d.comb += control.tail.eq(Cat(*chains[:drained]))
    chains += [Const(0, shape.pe.chain_bits)] * drained
    for k, pair in enumerate(pairs):
        m.submodules[f"{prefix}_{k}"] = pair
        m.d.comb += [getattr(pair, name).eq(getattr(control, name.removeprefix("i_"))) for name in pair.shared]
        if shape.pe.streamed:
            m.d.comb += [
                pair.i_weights_0.eq(control.weights.word_select(k, shape.pe.weight_bits)),
                pair.i_weights_1.eq(control.weights.word_select(k + pes // 2, shape.pe.weight_bits)),
            ]
        else:
            m.d.comb += [
                pair.i_load_pair.eq(control.load_pair),
                pair.i_load_half.eq(control.load_half),
                pair.i_index.eq(k),
            ]
        m.d.comb += [
            pair.i_chain_0.eq(chains[k + drained]),
            pair.i_chain_1.eq(chains[k + pes // 2 + drained]),
        ]


def connect_checked_pairs(m: Module, told: Any, pairs: Any, *, reading: Value, take: Value, shift: Value) -> None:
    """Tell `pairs` what an array tells them, `told`, and what a `WeightCheck` does: to sum a row of weights.

    While it is `reading`, the array gives them the row's number and its operands as if it were to be written, which it
    is kept from here.
    """
    m.d.comb += [
        told.tail.eq(pairs.tail),
        *[getattr(pairs, name).eq(getattr(told, name)) for name in ("x", "address", "load_pair", "load_half")],
        *[getattr(pairs, name).eq(getattr(told, name) | take) for name in ("first", "accumulate", "capture")],
        pairs.shift.eq(told.shift | shift),
        pairs.load.eq(told.load & ~reading),
    ]


def connect_loader(m: Module, loader: Loader, array: PeArray, *, unit: int) -> None:
    """Have `array` take the words that `loader` hands out for array `unit`."""
    valid, number, row, data = loader.o_valid, loader.o_unit, loader.o_row, loader.o_data
    if "load" in array.signature.members:  # streamed weights are not loaded
        words = valid[Target.WEIGHTS]
        if "o_reads" in loader.signature.members:  # a row to read comes with operands as one to load with weights
            words = words | loader.o_reads[Target.WEIGHTS]
        m.d.comb += [
            array.load.valid.eq(words & (number[PAIR_BITS + 1 :] == unit)),
            array.load.pair.eq(number[:PAIR_BITS]),
            array.load.half.eq(number[PAIR_BITS]),
            array.load.row.eq(row),
            array.load.data.eq(data),
        ]
    m.d.comb += [
        array.load_parameters.eq(valid[Target.PARAMETERS] & (number == unit)),
        array.load_parameters_row.eq(row),
        array.load_parameters_data.eq(data),
    ]
