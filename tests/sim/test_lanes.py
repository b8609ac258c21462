"""Pairs evaluated many at a time equal pairs evaluated one by one, and the rewriting refuses what it does not know."""

import ctypes
from pathlib import Path

import pytest
from amaranth.back import verilog

from microduet_hw.config import Precision
from microduet_hw.pe import PePair, PeShape
from microduet_sim.build import RUNTIME, lane_unit
from microduet_sim.compiler import Unit, compile_library
from microduet_sim.lanes import UnsupportedModel, lane_header, port_widths
from microduet_sim.tools import verilator_root
from tests.support.by_night import NIGHTLY, by_night

ROWS = 9
WIDEST, AVX2, SSE = (), ("-mno-avx512f",), ("-mno-avx",)


def library(folder: Path, shape: PeShape, *, pes: int, drain: int, flags: tuple[str, ...]) -> ctypes.CDLL:
    (folder / "pe_pair_0.v").write_text(verilog.convert(PePair(shape=shape), name="pe_pair_0", emit_src=False))
    unit = lane_unit(folder, number=0, pes=pes, drain=drain, chain_bits=shape.chain_bits)
    root = verilator_root()
    assert root is not None
    files = [
        *sorted((folder / "pair_0").glob("*.cpp")),
        *(root / "include" / f"verilated{x}.cpp" for x in ("", "_threads")),
    ]
    units = [unit, Unit(source=Path(__file__).with_name("compare_pairs.cpp"))]
    units += [Unit(source=path, cold=True) for path in files]
    include = [f"-I{path}" for path in (RUNTIME, RUNTIME / "lanes", folder, folder / "pair_0")]
    sizes = f"-DSIZES={pes},{drain},{shape.chain_bits}"
    result = folder / "compare.so"
    compile_library(units, result, folder=folder, flags=[*include, sizes, "-DLANES_DEBUG=1", "-DVM_TRACE=0", *flags])
    compare = ctypes.CDLL(str(result))
    compare.compare_pairs.argtypes = [ctypes.c_uint64, ctypes.c_int64, ctypes.c_int, ctypes.c_int]
    compare.compare_pairs.restype = ctypes.c_int64
    return compare


CASES = [
    # precision, lanes, PEs, drain, instruction set
    (Precision.FIXED16, 5, 72, 7, WIDEST),  # 36 pairs: the last register is not full
    (Precision.FIXED32, 1, 6, 1, AVX2),
    (Precision.INT8, 4, 10, 5, SSE),
]
BY_NIGHT = [
    (Precision.FIXED16, 2, 8, 3, AVX2),
    (Precision.FIXED16, 3, 20, 20, SSE),
    (Precision.FIXED32, 3, 40, 6, WIDEST),
    (Precision.FIXED32, 64, 4, 2, WIDEST),  # a word of 2,048 bits
    (Precision.INT8, 9, 34, 4, WIDEST),
    (Precision.INT8, 96, 4, 2, AVX2),  # so many signals that Verilator wraps them in structures without a name
]


@pytest.mark.parametrize(
    ("precision", "lanes", "pes", "drain", "flags"), by_night([*CASES, *BY_NIGHT], BY_NIGHT, marks=NIGHTLY)
)
def test_many_at_a_time_equal_one_by_one(
    tmp_path: Path, *, precision: Precision, lanes: int, pes: int, drain: int, flags: tuple[str, ...]
) -> None:
    shape = PeShape(precision=precision, lanes=lanes, rows=ROWS, terms=200)
    compare = library(tmp_path, shape, pes=pes, drain=drain, flags=flags)
    for seed in range(3):
        assert compare.compare_pairs(seed, 3000, ROWS + 1, lanes * shape.operand_bits) == -1, f"seed {seed}"


def write_model(folder: Path, body: str) -> None:
    (folder / "V___024root.h").write_text(
        "// DESIGN SPECIFIC STATE\n    VL_IN8(clk,0,0);\n    VL_OUT64(o_chain_0,40,0);\n    VL_INW(i_x,99,0,4);\n"
        "    // INTERNAL VARIABLES\n"
    )
    name = "V___024root___eval_nba"
    (folder / "V___024root__0.cpp").write_text(f"void {name}(V___024root* vlSelf) {{\n{body}\n}}\n")


def test_names_port_widths(tmp_path: Path) -> None:
    write_model(tmp_path, "")
    assert port_widths(tmp_path, prefix="V") == {"clk": 1, "o_chain_0": 41, "i_x": 100}


def test_conditionals_become_selections(tmp_path: Path) -> None:
    write_model(tmp_path, "    a = (b & ((IData)(c) ? ((d) ? e : f) : g[0U]));")
    text = lane_header(tmp_path, prefix="V", namespace="n")
    assert "a = (b & VL_SELECT(to_word(c), VL_SELECT((d), e, f), g[0U]));" in text


def test_refuses_a_model_without_clocked_logic(tmp_path: Path) -> None:
    write_model(tmp_path, "")
    (tmp_path / "V___024root__0.cpp").write_text("")
    with pytest.raises(UnsupportedModel, match="no clocked logic"):
        lane_header(tmp_path, prefix="V", namespace="n")


def test_refuses_a_bare_conditional(tmp_path: Path) -> None:
    write_model(tmp_path, "    a = c ? d : e;")
    with pytest.raises(UnsupportedModel, match="without parentheses"):
        lane_header(tmp_path, prefix="V", namespace="n")
