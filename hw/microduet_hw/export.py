"""What leaves for synthesis: Verilog, a map of it for programs, and constraints to start from."""

import hashlib
import json
import re

from amaranth.lib import data
from amaranth.lib.wiring import In

from microduet_hw.bases import base_map
from microduet_hw.config import EngineConfig
from microduet_hw.generate import convert, generate
from microduet_hw.kernel import CLOCKS, RESETS, Kernel, bits_of, kernel_ports
from microduet_hw.layout import plan_layer
from microduet_hw.lookup.geometry import packet_words
from microduet_hw.lookup.unit import port_name
from microduet_hw.output_layer import output_layer_shape
from microduet_hw.pe import ProcessingElement
from microduet_hw.pe_array import pe_array_shape
from microduet_hw.places import ISSUE_TO_CAPTURE
from microduet_hw.registers import register_map
from microduet_hw.result import BEAT
from microduet_hw.sigmoid import Sigmoid
from microduet_hw.status import QUERY
from microduet_hw.user_bank import UserBank
from microduet_hw.user_expander import UserExpander
from microduet_hw.user_packets import USER, UserKind, user_kinds
from microduet_hw.user_shape import user_shape
from microduet_hw.waiting_room import WaitingRoom


def module_name(config: EngineConfig) -> str:
    """Name of the kernel's module: the configuration's name as an identifier."""
    return "microduet_" + re.sub(r"\W+", "_", config.name)


MAP = "map.json"
"""What describes the other files, for programs."""


def export(config: EngineConfig, *, engine: dict[str, str] | None = None) -> dict[str, str]:
    """Files of a kernel by name: Verilog, ``map.json`` and a starting ``.xdc``. Equal configurations, equal bytes.

    Parameters
    ----------
    engine : what `generate` returned for `config`, if it is at hand
    """
    name = module_name(config)
    files = (engine or generate(config)) | {f"{name}.v": convert(Kernel(config=config), name)}
    files[f"{name}.xdc"] = constraints(config)
    return with_map(config, files)


def with_map(config: EngineConfig, files: dict[str, str]) -> dict[str, str]:
    """The files and a map that names them all."""
    described = {name: text for name, text in files.items() if name != MAP}
    return described | {MAP: json.dumps(describe(config, described), indent=1) + "\n"}


def describe(config: EngineConfig, files: dict[str, str]) -> dict[str, object]:
    """The map: ports, registers, clocks, resets, parameters, latencies, hashes."""
    ports = {
        port: {"direction": "input" if member.flow is In else "output", "bits": bits_of(member)}
        for port, member in kernel_ports(config).items()
    }
    megahertz = {"sync": config.engine_mhz, "mem": config.memory_mhz}
    return {
        "module": module_name(config),
        "digest": config.digest,
        "precision": config.precision,
        "clocks": {CLOCKS[domain]: {"domain": domain, "mhz": mhz} for domain, mhz in megahertz.items()},
        "resets": {RESETS[domain]: {"domain": domain, "active": "low"} for domain in megahertz},
        "interfaces": {
            "axi4_lite": {"s_axi_control": "sync"},
            "axi4_stream": streams(config),
            "axi4_read": {port_name(source): "mem" for source in config.channels},
        },
        "ports": ports,
        "registers": register_map(config) | base_map(config),
        "parameters": {
            "arrays": [
                {"pes": a.pes, "lanes": a.lanes, "drain": a.drain, "layers": list(a.layers)} for a in config.arrays
            ],
            "bottom": config.bottom,
            "layers": [{"inputs": layer.inputs, "outputs": layer.outputs} for layer in config.layers],
            "lookups": config.lookups,
            "lookup_words": list(packet_words(config)),
            "dense": config.dense,
            "outstanding": config.outstanding,
            "watchdog": config.watchdog,
            **_users(config),
        },
        "latencies": latencies(config),
        "files": {file: hashlib.sha256(text.encode()).hexdigest() for file, text in sorted(files.items())},
    }


def streams(config: EngineConfig) -> dict[str, str]:
    """AXI4-Stream ports and their clock domains."""
    users = {"s_axis_users": "sync"} if config.user else {}
    return {"s_axis_items": "mem", "s_axis_load": "sync", **users, "m_axis_results": "sync"}


def _fields(layout: data.StructLayout) -> dict[str, dict[str, int]]:
    """Where the fields of a beat lie."""
    return {str(name): {"offset": field.offset, "bits": field.width} for name, field in layout}


def _users(config: EngineConfig) -> dict[str, object]:
    """What a host must know of users, and of the packets that only an engine with users takes or sends."""
    user = config.user
    if user is None:
        return {}
    return {
        "users": {
            "layer": user.layer,
            "payload": user.payload,
            "bytes": user.bytes,
            "slots": user.slots,
            "waiting": user.waiting,
            "top_k": user.top_k,
            "watchdog": user.watchdog,
            "query_word": _fields(QUERY),
            "user_header": _fields(USER),
            "user_kinds": {kind.name: int(kind) for kind in user_kinds(user.payload)},
            "result_beat": _fields(BEAT),
        }
    }


def latencies(config: EngineConfig) -> dict[str, int]:
    """Fixed latencies of the engine's parts, in engine cycles."""
    output = output_layer_shape(config)
    result = {
        f"layer_{number}_steps": plan.rounds * plan.steps
        for number, plan in ((n, plan_layer(config, n)) for n in range(len(config.hidden)))
    }
    for k, array in enumerate(config.arrays):
        requantiser = pe_array_shape(config, array).drain.requantiser.latency
        result[f"array_{k}_step_to_word"] = ISSUE_TO_CAPTURE + 1 + requantiser
    result["output_word_to_logit"] = ProcessingElement.SUM_LATENCY + 1 + output.requantiser.latency
    result["sigmoid"] = Sigmoid.LATENCY
    if config.user:
        result["user_last_beat_to_ready"] = UserBank(shape=user_shape(config)).latency
        if UserKind.CODED in user_kinds(config.user.payload):
            result["user_code_to_vector"] = UserExpander(length=config.user.bytes).latency
        result["waiting_room"] = WaitingRoom.LATENCY
    return result


def constraints(config: EngineConfig) -> str:
    """Clocks and crossings. The crossings hold data still while a flag goes through two flip-flops."""
    engine, memory = 1000 / config.engine_mhz, 1000 / config.memory_mhz
    return f"""# Starting constraints of {module_name(config)}; clocks as in map.json.
create_clock -name {CLOCKS["sync"]} -period {engine:.3f} [get_ports {CLOCKS["sync"]}]
create_clock -name {CLOCKS["mem"]} -period {memory:.3f} [get_ports {CLOCKS["mem"]}]
# Vectors stand still while their flag crosses, so only their skew is bounded, by one period of the faster clock.
set_max_delay -datapath_only -from [get_clocks {CLOCKS["mem"]}] -to [get_clocks {CLOCKS["sync"]}] {memory:.3f}
set_max_delay -datapath_only -from [get_clocks {CLOCKS["sync"]}] -to [get_clocks {CLOCKS["mem"]}] {memory:.3f}
set_false_path -from [get_ports {{{RESETS["sync"]} {RESETS["mem"]}}}]
"""
