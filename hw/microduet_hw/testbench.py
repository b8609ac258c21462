"""A self-checking testbench in plain Verilog: items in, every read and every result compared."""

from collections.abc import Sequence
from importlib import resources

import numpy as np
import numpy.typing as npt

from microduet_hw.backdoor import backdoor, bulk_first
from microduet_hw.bases import CARD_BITS, base_map
from microduet_hw.config import EngineConfig
from microduet_hw.export import module_name
from microduet_hw.image import Beats, TableRows, row_bytes
from microduet_hw.kernel import bits_of, kernel_ports
from microduet_hw.lookup.geometry import read_beats
from microduet_hw.lookup.row_check import checked_row
from microduet_hw.lookup.unit import port_name
from microduet_hw.part_rules import in_order
from microduet_hw.registers import Register
from microduet_hw.result import BEAT

TOP = "testbench"
RESET_CYCLES = 20


def channel_reads(
    config: EngineConfig, sparse: npt.NDArray[np.int64], rows_of: TableRows
) -> dict[int, list[tuple[int, npt.NDArray[np.uint8]]]]:
    """Reads that items with indices `sparse` (items, lookups), all in range, cause on each memory channel, in order.

    A read is its byte address and its beats: uint8 (beats, 32).
    """
    parts = {source: in_order(config.sources[source]) for source in config.channels}
    firsts = np.cumsum([0, *(feature.lookups for feature in config.features)])
    reads: dict[int, list[tuple[int, npt.NDArray[np.uint8]]]] = {source: [] for source in config.channels}
    for item in sparse:
        for source in config.channels:
            for part in parts[source]:
                beats = read_beats(config, part)
                served = part.served(config.features[part.feature])
                for index in item[firsts[part.feature] + np.array(served)].tolist():
                    if index in part.row_numbers:
                        row = row_bytes(config, rows_of(part.feature, index, 1), part)[0, : beats * 32]
                        address = part.offset(part.row_numbers.index(index))
                        if config.row_check:
                            channel = config.channels.index(source)
                            row = np.frombuffer(checked_row(row.tobytes(), address=address, channel=channel), np.uint8)
                        reads[source].append((address, row.reshape(beats, 32)))
    return reads


def testbench(
    config: EngineConfig,
    *,
    load: Beats,
    packets: npt.NDArray[np.uint32],
    reads: dict[int, list[tuple[int, npt.NDArray[np.uint8]]]],
    results: list[dict[int | str, int]],
    users: Sequence[Beats],
) -> dict[str, str]:
    """Files of a testbench by name; run it where they lie, the hex files are opened by name.

    It ends with a line PASSED or FAILED. Started with ``+fast`` it fills weight memories and on-chip tables at once.

    Parameters
    ----------
    load : everything to load, in order
    packets : uint32 (items, 16 x beats)
    reads : as `channel_reads`
    results : one dict of `result.BEAT` fields per beat
    users : user packets, sent beside the items one after the other; queries in flight are in slots of their own. None
        without users

    Raises
    ------
    ValueError
        If there are user packets for an engine without users.
    """
    if len(users) and not config.user:
        raise ValueError(f"an engine without users takes no user packets, not {len(users)}")
    load, bulk = bulk_first(load)
    per_item = packets.shape[1] // 16
    items = packets.reshape(-1, 16)
    last = np.arange(len(items)) % per_item == per_item - 1
    files = {
        "load.hex": _hex(load, last=np.zeros(len(load), bool)),
        "items.hex": _hex(items, last=last),
        "results.hex": "".join(f"{BEAT.const(result).as_bits():032x}\n" for result in results),
        "writes.hex": "".join(f"{at:03x}{word:08x}\n" for at, word in _writes(config, len(packets))),
        **({"users.hex": _packets(users)} if config.user else {}),
        "models.v": (resources.files("microduet_hw") / "verilog" / "models.v").read_text(),
    }
    for source, asked in reads.items():
        base = _base(config.channels.index(source))
        lines = [f"{(len(beats) - 1) << CARD_BITS | base + address:018x}\n" for address, beats in asked]
        files[f"{port_name(source)}_ar.hex"] = "".join(lines)
        answers = [f"{bytes(beat[::-1]).hex()}\n" for _, beats in asked for beat in beats]
        files[f"{port_name(source)}_r.hex"] = "".join(answers)
    counts = {"load": len(load), "items": len(items), "results": len(results)}
    counts |= {"writes": len(_writes(config, len(packets))), "bulk": bulk, "users": sum(map(len, users))}
    channels = {source: (len(asked), sum(len(beats) for _, beats in asked)) for source, asked in reads.items()}
    files[f"{TOP}.v"] = _top(config, counts, channels, backdoor(config, load, bulk))
    return files


def _base(channel: int) -> int:
    """Where the buffer of the channel-th memory channel is said to begin: sums of it and an address carry far."""
    return (channel + 1) * 0x7_FFFF_F000


def _writes(config: EngineConfig, items: int) -> list[tuple[int, int]]:
    """Registers in the order in which they are written, with what."""
    bases = [(at, _base(k)) for k, at in enumerate(base_map(config).values())]
    halves = [(at + 4 * half, base >> 32 * half & 0xFFFF_FFFF) for at, base in bases for half in (0, 1)]
    return [*halves, (int(Register.ITEMS), items), (int(Register.CONTROL), 1)]


def _hex(beats: Beats, *, last: npt.NDArray[np.bool_]) -> str:
    rows = np.ascontiguousarray(beats).view(np.uint8).reshape(-1, 64)[:, ::-1]
    return "".join(f"{int(end)}{row.tobytes().hex()}\n" for row, end in zip(rows, last, strict=True))


def _packets(packets: Sequence[Beats]) -> str:
    """Packets as the lines of a file; one that is never sent, if there are none."""
    ends = [np.arange(len(beats)) == len(beats) - 1 for beats in packets]
    lines = "".join(_hex(beats, last=last) for beats, last in zip(packets, ends, strict=True))
    return lines or _hex(np.zeros((1, 16), np.uint32), last=np.ones(1, bool))


def _connections(prefix: str, names: tuple[str, ...], *, model: str = "") -> str:
    return ", ".join(f".{model}{name}({prefix}{name})" for name in names)


READ = ("arvalid", "arready", "araddr", "arid", "arlen", "rvalid", "rready", "rdata", "rid", "rresp", "rlast")


def _top(config: EngineConfig, counts: dict[str, int], reads: dict[int, tuple[int, int]], fast: str) -> str:
    ports = kernel_ports(config)
    kernel = module_name(config)
    widths = {name: bits_of(member) for name, member in ports.items()}
    wires = "\n".join(f"  wire [{bits - 1}:0] {name};" for name, bits in widths.items())
    # In spread tables the reads of a feature come as they meet on their way.
    order = 1 if config.spread else 0
    channels = "\n".join(_channel(source, count, beats, order) for source, (count, beats) in reads.items())
    faults = " + ".join(["result_faults", *(f"faults_{source}" for source in reads)])
    connections = ",\n    ".join(f".{name}({name})" for name in ports)
    users = _users(counts["users"]) if config.user else ""
    return f"""// Self-checking testbench of {kernel}. Ends with PASSED or FAILED.
`timescale 1ps / 1ps
module {TOP};
  reg ap_clk = 0, ap_clk_2 = 0, ap_rst_n = 0;
  always #{500_000 // config.engine_mhz} ap_clk = ~ap_clk;
  always #{500_000 // config.memory_mhz} ap_clk_2 = ~ap_clk_2;
  initial begin
    repeat ({RESET_CYCLES}) @(posedge ap_clk);
    ap_rst_n = 1;
  end
{wires}
  wire loaded, started, sent, finished;
  wire [31:0] result_faults;
{fast}
  axis_source #(.FILE("load.hex"), .BEATS({counts["load"]}), .SKIP({counts["bulk"]})) load (
    .clk(ap_clk), .enable(ap_rst_n), .skip(fast), .done(loaded),
    {_connections("s_axis_load_", ("tvalid", "tready", "tdata", "tlast"))});
  lite_writer #(.FILE("writes.hex"), .WRITES({counts["writes"]})) control (
    .clk(ap_clk), .enable(loaded), .valid(s_axi_control_awvalid), .awready(s_axi_control_awready),
    .awaddr(s_axi_control_awaddr), .wdata(s_axi_control_wdata), .done(started));
  assign s_axi_control_wvalid = s_axi_control_awvalid;
  assign s_axi_control_wstrb = 4'hF;
  assign s_axi_control_bready = 1;
  assign s_axi_control_arvalid = 0;
  assign s_axi_control_araddr = 0;
  assign s_axi_control_rready = 1;
  axis_source #(.FILE("items.hex"), .BEATS({counts["items"]})) items (
    .clk(ap_clk_2), .enable(started), .skip(1'b0), .done(sent),
    {_connections("s_axis_items_", ("tvalid", "tready", "tdata", "tlast"))});
{users}  axis_checker #(.FILE("results.hex"), .BEATS({counts["results"]})) results (
    .clk(ap_clk), .done(finished), .faults(result_faults),
    {_connections("m_axis_results_", ("tvalid", "tready", "tdata"))});
{channels}
  wire [31:0] faults = {faults};
  {kernel} kernel (
    .ap_clk(ap_clk), .ap_rst_n(ap_rst_n), .ap_clk_2(ap_clk_2), .ap_rst_n_2(ap_rst_n),
    {connections});
  initial begin
    wait (finished);
    repeat (20) @(posedge ap_clk);
    if (faults == 0) $display("PASSED: {counts["results"]} results"); else $display("FAILED: %0d faults", faults);
    $finish;
  end
  initial begin
    wait (started);
    repeat ({counts["results"]} * 20_000 + 100_000) @(posedge ap_clk);
    $display("FAILED: timeout");
    $finish;
  end
endmodule
"""


def _users(beats: int) -> str:
    return f"""  wire users_sent;
  axis_source #(.FILE("users.hex"), .BEATS({max(1, beats)})) users (
    .clk(ap_clk), .enable(started && {int(beats > 0)}), .skip(1'b0), .done(users_sent),
    {_connections("s_axis_users_", ("tvalid", "tready", "tdata", "tlast"))});
"""


def _channel(source: int, count: int, beats: int, any_order: int) -> str:
    name = port_name(source)
    return f"""  wire [31:0] faults_{source};
  axi_read_memory #(.READS("{name}_ar.hex"), .READ_COUNT({count}), .BEATS("{name}_r.hex"), .BEAT_COUNT({beats}),
    .NAME("{name}"), .ANY_ORDER({any_order})) memory_{source} (
    .clk(ap_clk_2), {_connections(f"{name}_", READ)}, .faults(faults_{source}));"""
