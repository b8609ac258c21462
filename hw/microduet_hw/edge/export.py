"""What leaves of an edge unit for synthesis: Verilog, and a map of it for programs."""

import hashlib
import json
import typing

from amaranth.hdl import Shape
from amaranth.lib import data
from amaranth.lib.wiring import In, Member, Signature

from microduet_hw.edge.config import EdgeConfig
from microduet_hw.edge.message import ANSWER, CONSTANTS, HEADER, EdgeStatus, Kind, message_beats
from microduet_hw.edge.unit import outside
from microduet_hw.export import MAP
from microduet_hw.generate import generate
from microduet_hw.lookup.unit import port_name
from microduet_hw.registers import register_map

MODULE = "edge_unit"
"""Name of the unit's module; its clock is `clk`, its reset `rst`, active high."""


def export(config: EdgeConfig, *, unit: dict[str, str] | None = None) -> dict[str, str]:
    """Files of a unit by name: Verilog and ``map.json``. Equal configurations, equal bytes.

    Parameters
    ----------
    unit : what `generate` returned for `config`, if it is at hand
    """
    files = unit or generate(config)
    return files | {MAP: json.dumps(describe(config, files), indent=1) + "\n"}


def describe(config: EdgeConfig, files: dict[str, str]) -> dict[str, object]:
    """The map: ports, registers, layouts of messages and answers, hashes."""
    signature = Signature(outside(config))
    members = {
        "__".join(map(str, path)): typing.cast(Member, member)
        for path, member, _ in signature.flatten(signature.create())
    }
    groups = range(len(config.histories))
    return {
        "module": MODULE,
        "digest": config.digest,
        "clock": {"port": "clk", "mhz": config.clock_mhz},
        "reset": {"port": "rst", "active": "high"},
        "interfaces": {
            "axi4_lite": ["s_axi_control"],
            "axi4_stream": ["s_axis_items", "s_axis_load", "m_axis_results"],
            "axi4_read": [port_name(channel) for channel in config.channels],
        },
        "ports": {
            name: {"direction": "input" if member.flow is In else "output", "bits": Shape.cast(member.shape).width}
            for name, member in members.items()
        },
        "registers": register_map(config),
        "kinds": {kind.name: int(kind) for kind in Kind},
        "statuses": {status.name: int(status) for status in EdgeStatus if status},
        "header": fields(HEADER),
        "answer": fields(ANSWER),
        "constants": fields(CONSTANTS),
        "beats": {
            "entry": [message_beats(config, Kind.CLICK, group) for group in groups],
            "static": message_beats(config, Kind.STATIC),
            "context": message_beats(config, Kind.QUERY),
        },
        "stacks": {
            name: {
                "pes": s.pes,
                "lanes": s.lanes,
                "streamed": s.streamed,
                "layers": [[layer.inputs, layer.outputs] for layer in s.layers],
            }
            for name, s in config.stacks.items()
            if s is not None
        },
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted(files.items())},
    }


def fields(layout: data.StructLayout) -> dict[str, object]:
    """Lowest bit and width of every field of a layout."""
    result: dict[str, object] = {}
    for name, field in layout:
        if isinstance(field.shape, data.StructLayout):
            result[str(name)] = {"first": field.offset, "fields": fields(field.shape)}
        else:
            result[str(name)] = {"first": field.offset, "bits": field.width}
    return result
