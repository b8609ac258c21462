"""The files of a Vitis kernel against the rules of AMD's public documentation.

UG1393 is "Application Acceleration Development" (2023.2), UG1700 "Data Center Acceleration Using Vitis" (2026.1),
UG1702 the "Vitis Reference Guide" (2025.2). Vitis itself is not needed, and does not run here.
"""

import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from microduet import boards
from microduet.errors import PlacementError
from microduet.vitis.connectivity import bytes_of, mover_bank
from microduet.vitis.files import kernel_files
from microduet_hw.config import Part, Source, SourceKind
from microduet_hw.export import describe, module_name
from microduet_hw.kernel import CLOCKS, RESETS, bits_of, kernel_ports
from tests.sw.command_line import run
from tests.sw.vitis.kernels import config_for

HERE = Path(__file__).parent
VERILOG = ("engine.v", "engine_core.v", "pe_pair_0.v", "testbench.v", "models.v")


def files_for(board):
    config = config_for(board)
    exported = dict.fromkeys((*VERILOG, f"{module_name(config)}.v"), "")
    return config, kernel_files(config, boards.find(board), exported)


@pytest.fixture(scope="module", params=["u55c", "u280"])
def kernel(request):
    return files_for(request.param)


def described(kernel):
    _, files = kernel
    return ElementTree.fromstring(files["kernel.xml"].split("\n", 1)[1]).find("kernel")


def ports_of(kernel):
    return {port.get("name"): port for port in described(kernel).iter("port")}


def test_kernel_is_user_managed_and_named_as_its_module(kernel):
    """UG1702, "RTL Kernel XML File": the name is the top module's; vlnv is the packaged IP's."""
    config, _ = kernel
    root = described(kernel)
    assert root.get("name") == module_name(config)
    assert root.get("vlnv").split(":")[2] == module_name(config)
    assert root.get("language") == "ip"
    assert root.get("hwControlProtocol") == "user_managed"


def test_control_is_one_axi4_lite_slave_of_at_most_64_kib(kernel):
    """UG1700, "HW Interfaces": a single AXI4-Lite interface; "Working with User-Managed Kernels": 16 address bits."""
    slaves = [port for port in ports_of(kernel).values() if port.get("mode") == "slave"]
    assert [port.get("name") for port in slaves] == ["s_axi_control"]
    assert slaves[0].get("dataWidth") == "32"
    config, _ = kernel
    space = 1 << bits_of(kernel_ports(config)["s_axi_control_araddr"])
    assert int(slaves[0].get("range"), 16) == space <= 1 << 16


def test_memory_ports_are_masters_with_64_bit_addresses(kernel):
    """UG1700, "Packaging the RTL Code as a Vitis XO"; widths are those of the Verilog."""
    config, _ = kernel
    masters = {name: port for name, port in ports_of(kernel).items() if port.get("mode") == "master"}
    assert list(masters) == [f"m_axi_{source:02}" for source in config.channels]
    ports = kernel_ports(config)
    for name, port in masters.items():
        assert int(port.get("range"), 16) == (1 << 64) - 1
        assert bits_of(ports[f"{name}_araddr"]) == 64
        assert bits_of(ports[f"{name}_rdata"]) == int(port.get("dataWidth"))


def test_every_pin_belongs_to_an_interface(kernel):
    """UG1393, "Kernel Interface Requirements": pins that are part of no interface are not supported."""
    config, _ = kernel
    names = set(ports_of(kernel))
    for pin in kernel_ports(config):
        assert pin == "interrupt" or any(pin.startswith(f"{name}_") for name in names), pin


def test_streams_have_a_direction_and_the_verilogs_width(kernel):
    config, _ = kernel
    streams = {name: port for name, port in ports_of(kernel).items() if port.get("portType") == "stream"}
    assert set(streams) == {"s_axis_items", "s_axis_load", "m_axis_results"}
    for name, port in streams.items():
        assert port.get("mode") == ("read_only" if name.startswith("s_") else "write_only")
        assert int(port.get("dataWidth")) == bits_of(kernel_ports(config)[f"{name}_tdata"])


def test_arguments_lie_where_the_register_map_says(kernel):
    """UG1393, "Control Requirements": own registers from 0x10 on; a pointer is 8 bytes, addressQualifier 1."""
    config, files = kernel
    registers = {one["name"]: one for one in json.loads(files["registers.json"])["registers"]}
    arguments = list(described(kernel).iter("arg"))
    assert [int(argument.get("id")) for argument in arguments] == list(range(len(arguments)))
    assert len({argument.get("name") for argument in arguments}) == len(arguments)
    for argument in arguments:
        assert argument.get("port") in ports_of(kernel)
        if argument.get("addressQualifier") == "4":
            continue
        pointer = argument.get("addressQualifier") == "1"
        name = f"channel_{argument.get('port')[-2:]}_base" if pointer else argument.get("name")
        assert int(argument.get("offset"), 16) == registers[name]["address"] >= 0x10
        assert int(argument.get("size"), 16) == registers[name]["bits"] // 8 == (8 if pointer else 4)
    assert len(config.channels) == sum(argument.get("addressQualifier") == "1" for argument in arguments)


def test_no_register_has_the_name_that_is_xrts(kernel):
    """UG1393, "Creating User-Managed RTL Kernels": a control register must not be called CTRL."""
    _, files = kernel
    names = [one["name"].upper() for one in json.loads(files["registers.json"])["registers"]]
    assert "CONTROL" in names
    assert "CTRL" not in names


def test_the_map_is_one_in_every_form(kernel, tmp_path):
    config, files = kernel
    expected = describe(config, {})["registers"]
    records = json.loads(files["registers.json"])["registers"]
    assert {one["name"]: one["address"] for one in records} == expected
    rows = re.findall(r"^\| (0x\w+) \| `(\w+)` \|", files["registers.md"], re.MULTILINE)
    assert {name: int(address, 16) for address, name in rows} == expected
    ends = [one["address"] + one["bits"] // 8 for one in records]
    assert all(end <= after["address"] for end, after in zip(ends, records[1:], strict=False))
    prefix = module_name(config).upper()
    checks = [f'static_assert({prefix}_{name.upper()} == {at}, "{name}");' for name, at in expected.items()]
    checks.append(f'static_assert({prefix}_DIGEST_VALUE == {int(config.digest[:8], 16)}u, "digest");')
    (tmp_path / "registers.h").write_text(files["registers.h"])
    (tmp_path / "check.cpp").write_text("\n".join(['#include "registers.h"', '#include "registers.h"', *checks]))
    subprocess.run(["g++", "-fsyntax-only", "-Wall", "-Werror", "check.cpp"], cwd=tmp_path, check=True)


def settings(text, key):
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith(f"{key}=")]


def test_each_memory_port_reads_the_memory_of_its_kind(kernel):
    """UG1702, "--connectivity Options": sp=INSTANCE.PORT:MEMORY. No two of the engine's ports share a channel."""
    config, files = kernel
    placed = dict(line.removeprefix("engine.").split(":") for line in settings(files["connectivity.cfg"], "sp"))
    own = {name: bank for name, bank in placed.items() if name.startswith("m_axi_")}
    assert len(own) == len(set(own.values())) == len(config.channels)
    for source in config.channels:
        bank = own[f"m_axi_{source:02}"]
        assert bank.startswith(str(config.sources[source].kind).upper()), bank


def test_every_stream_is_connected_once_to_a_mover(kernel):
    """UG1393, "Specifying Streaming Connections": from an output to an input."""
    _, files = kernel
    text = files["connectivity.cfg"]
    pairs = [line.split(":") for line in settings(text, "stream_connect")]
    ends = {end for pair in pairs for end in pair if end.startswith("engine.")}
    assert ends == {"engine.s_axis_items", "engine.s_axis_load", "engine.m_axis_results"}
    assert len(pairs) == len(ends)
    assert all(source.startswith("engine.m_") or sink.startswith("engine.s_") for source, sink in pairs)
    instances = [line.split(":")[2] for line in settings(text, "nk")]
    assert {end.split(".")[0] for pair in pairs for end in pair} == set(instances)
    for mover in instances[1:]:
        assert f"void {mover}(" in files["movers.cpp"]


def test_clocks_are_the_configurations(kernel):
    config, files = kernel
    clocks = dict(line.split(":")[::-1] for line in settings(files["connectivity.cfg"], "freqhz"))
    assert clocks == {"engine.ap_clk": f"{config.engine_mhz}000000", "engine.ap_clk_2": f"{config.memory_mhz}000000"}


def test_buffers_of_the_movers_lie_where_the_engine_reads_least():
    config = config_for("u55c")
    board = boards.find("u55c")
    every = {source: f"HBM[{source}]" for source in config.channels}
    assert mover_bank(config, board, every) == f"HBM[{len(every)}]"
    small = board.first_channels(len(every))
    fullest = max(bytes_of(config, source) for source in config.channels)
    chosen = mover_bank(config, small, every)
    assert bytes_of(config, int(chosen[4:-1])) <= fullest


def tcl_calls(script, tmp_path):
    """Commands of Vivado that a script calls, in order; its own ones do nothing."""
    tkinter = pytest.importorskip("tkinter", reason="Tcl comes with Python's tkinter")
    calls = []
    interpreter = tkinter.Tcl()
    (tmp_path / "package.tcl").write_text(script)
    interpreter.createcommand("record", lambda *words: calls.append(words) or words[-1])
    interpreter.eval("proc unknown args { record {*}$args }; rename file own_file")
    interpreter.eval("proc file {what args} { if {$what ne {delete}} { own_file $what {*}$args } }")
    interpreter.eval(f"source {tmp_path / 'package.tcl'}")
    return calls


def test_packaging_ties_each_bus_to_its_clock(kernel, tmp_path):
    """UG1700, "Packaging": a clock for each bus, a reset active low for each clock."""
    config, files = kernel
    calls = tcl_calls(files["package.tcl"], tmp_path)
    tied = [call for call in calls if call[0] == "ipx::associate_bus_interfaces"]
    clocks = {call[2]: call[4] for call in tied if call[1] == "-busif"}
    memory_side = {"s_axis_items", *(f"m_axi_{source:02}" for source in config.channels)}
    assert clocks == {name: "ap_clk_2" if name in memory_side else "ap_clk" for name in ports_of(kernel)}
    assert {call[2]: call[4] for call in tied if call[1] == "-clock"} == {CLOCKS[d]: RESETS[d] for d in CLOCKS}


def test_packaging_takes_the_kernels_verilog_only_and_its_xml(kernel, tmp_path):
    config, files = kernel
    calls = {call[0]: call for call in tcl_calls(files["package.tcl"], tmp_path)}
    expected = sorted({*VERILOG, f"{module_name(config)}.v"} - {"testbench.v", "models.v"})
    assert calls["add_files"][-1].split() == expected
    last = calls["package_xo"]
    assert last[last.index("-kernel_name") + 1] == module_name(config)
    assert last[last.index("-kernel_xml") + 1] == "kernel.xml"
    assert last[last.index("-ip_directory") + 1] == "ip"


def test_packaging_names_each_register_and_the_port_of_each_base(kernel, tmp_path):
    """UG1700, "Packaging": ASSOCIATED_BUSIF says which memory port a pointer is for."""
    config, files = kernel
    calls = tcl_calls(files["package.tcl"], tmp_path)
    names = [call[1] for call in calls if call[0] == "ipx::add_register"]
    offsets = [int(call[2], 16) for call in calls if call[:2] == ("set_property", "address_offset")]
    assert dict(zip(names, offsets, strict=True)) == describe(config, {})["registers"]
    ports = [call[2] for call in calls if call[:2] == ("set_property", "value") and call[2].startswith("m_axi")]
    assert ports == [f"m_axi_{source:02}" for source in config.channels]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The movers, compiled with stand-ins for the headers of HLS."""
    folder = tmp_path_factory.mktemp("movers")
    (folder / "movers.cpp").write_text(files_for("u55c")[1]["movers.cpp"])
    stand_in = HERE / "stand_in"
    options = ["-std=c++14", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-I", str(stand_in), "-I", str(folder)]
    subprocess.run(["g++", *options, "-o", str(folder / "bench"), str(stand_in / "bench.cpp")], check=True)
    return folder / "bench"


@pytest.mark.parametrize(("count", "packet"), [(12, 3), (7, 1), (5, 5), (0, 4)])
def test_a_sender_ends_each_packet(bench, count, packet):
    memory = bytes(k * 7 % 251 for k in range(64 * count))
    out = subprocess.run([bench, "send", str(count), str(packet)], input=memory, capture_output=True, check=True).stdout
    beats = [out[65 * k : 65 * k + 65] for k in range(count)]
    assert b"".join(beat[:64] for beat in beats) == memory
    assert [beat[64] for beat in beats] == [int(k % packet == packet - 1) for k in range(count)]


def test_the_receiver_keeps_results_in_order(bench):
    memory = bytes(k * 11 % 251 for k in range(16 * 9))
    assert subprocess.run([bench, "receive", "9"], input=memory, capture_output=True, check=True).stdout == memory


def test_register_access_for_python_compiles(tmp_path):
    """Against stand-ins for XRT's headers: the names and types that its documentation gives."""
    torch = pytest.importorskip("torch", reason="pybind11 comes with torch")
    (tmp_path / "ip.cpp").write_text(files_for("u55c")[1]["microduet_ip.cpp"])
    import sysconfig

    includes = [HERE / "stand_in", Path(torch.__file__).parent / "include", sysconfig.get_path("include")]
    options = [word for folder in includes for word in ("-I", str(folder))]
    subprocess.run(["g++", "-fsyntax-only", "-std=c++17", *options, str(tmp_path / "ip.cpp")], check=True)


def test_the_command_writes_them_and_the_map_names_them(tmp_path, capsys):
    (tmp_path / "c.json").write_bytes(config_for("u55c").to_json())
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k", "--kernel") == 0
    _, files = files_for("u55c")
    assert set(files) < set(json.loads((tmp_path / "k" / "map.json").read_text())["files"])
    assert (tmp_path / "k" / "kernel.xml").read_text() == files["kernel.xml"]
    assert run("verilog", tmp_path / "c.json", "-o", tmp_path / "k") == 0
    assert not (tmp_path / "k" / "kernel.xml").exists()


def moved(config, kind):
    """The configuration with its first memory channel of another kind."""
    first = config.channels[0]
    sources = [Source(kind=kind, parts=s.parts) if k == first else s for k, s in enumerate(config.sources)]
    return config.replace(sources=tuple(sources))


def far(config):
    """The configuration with its last part beyond a channel of the U280."""
    last = config.channels[-1]
    sources = list(config.sources)
    part = sources[last].parts[-1]
    fields = {name: getattr(part, name) for name in part.__struct_fields__} | {"base": 512 << 20}
    sources[last] = Source(kind=SourceKind.HBM, parts=(*sources[last].parts[:-1], Part(**fields)))
    return config.replace(sources=tuple(sources))


REFUSED = [
    # configuration, board, what is said
    (lambda: config_for("u280"), "u55c", "channels of ddr, u55c has 0: compile it for that board"),
    (lambda: moved(config_for("u55c"), SourceKind.DDR), "u55c", "reads 1 channels of ddr, u55c has 0"),
    (lambda: moved(config_for("u55c"), SourceKind.LPDDR), "u55c", "reads lpddr memory, which no card of Vitis has"),
    (lambda: far(config_for("u55c")), "u280", r"takes \d+ bytes, HBM\[\d+\] has 268435456"),
]


@pytest.mark.parametrize(("make", "board", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_plan_of_another_card_is_refused(make, board, message):
    with pytest.raises(PlacementError, match=message):
        kernel_files(make(), boards.find(board), {})


def test_an_edge_unit_is_no_kernel(tmp_path, capsys):
    assert run("verilog", "rm1-edge", "-o", tmp_path / "k", "--kernel") == 2
    assert "rm1-edge takes --output only, not --kernel" in capsys.readouterr().err
