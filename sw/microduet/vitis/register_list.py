"""The kernel's registers for people and programs: one list, as Markdown, a C header and JSON."""

import json
from typing import Literal

import msgspec

from microduet_hw.bases import BASE_START, base_map
from microduet_hw.config import EngineConfig
from microduet_hw.export import module_name
from microduet_hw.registers import ADDRESS_BITS, CHANNEL_BASE, Register, register_map

Access = Literal["read", "write", "read, write"]


class RegisterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One register: its first byte's address, 32 or 64 bits (low word first), who may do what, and its meaning."""

    name: str
    address: int
    bits: int
    access: Access
    meaning: str


PLAIN: dict[Register, tuple[Access, str]] = {
    Register.CONTROL: (
        "read, write",
        "bit 0: write 1 to start a run, reads 1 while it is on; bits 1 and 3: it has ended, cleared by reading; "
        "bit 2: idle",
    ),
    Register.GLOBAL_INTERRUPT: ("read, write", "bit 0: the interrupt output is on"),
    Register.INTERRUPT_ENABLE: ("read, write", "bits 0 and 1: the end of a run sets the same bit of interrupt_status"),
    Register.INTERRUPT_STATUS: ("read, write", "bits 0 and 1: writing a one toggles it"),
    Register.ITEMS: ("read, write", "items of the next run, at least 1"),
    Register.DIGEST: ("read", "first 32 bits of the configuration's SHA-256: whether weights fit this engine"),
    Register.LOADED: ("read", "CRC-32 (zlib) of all load beats since the reset: whether the engine took what was sent"),
}


def register_list(config: EngineConfig) -> list[RegisterRecord]:
    """All registers by ascending address, from the configuration alone."""
    plain = {register.name.lower(): register for register in Register}
    found: list[RegisterRecord] = []
    for name, address in register_map(config).items():
        if name in plain:
            access, meaning = PLAIN[plain[name]]
            found.append(RegisterRecord(name=name, address=address, bits=32, access=access, meaning=meaning))
        else:
            found.append(_counter(name, address))
    for name, address in base_map(config).items():
        meaning = (
            "byte address on the card from which this channel's addresses count, whole pages of 4096 bytes; "
            "write it while nothing is in flight"
        )
        found.append(RegisterRecord(name=name, address=address, bits=64, access="read, write", meaning=meaning))
    return sorted(found, key=lambda record: record.address)


def _counter(name: str, address: int) -> RegisterRecord:
    if address >= CHANNEL_BASE:
        what = "reads asked for" if name.endswith("_reads") else "memory cycles in which a read had to wait"
        return RegisterRecord(name=name, address=address, bits=32, access="read", meaning=f"{what}; read it while idle")
    what = "engine cycles of the last run" if name == "cycles" else f"{name.replace('_', ' ')} counted in the last run"
    return RegisterRecord(name=name, address=address, bits=64, access="read", meaning=what)


def markdown(config: EngineConfig) -> str:
    """A table of the registers."""
    lines = [
        f"# Registers of {module_name(config)}",
        "",
        f"AXI4-Lite, {1 << ADDRESS_BITS} bytes; the engine's own below {BASE_START:#x}, bases from there on. "
        "Registers of 64 bits have their low word first. Unmapped addresses read 0.",
        "",
        "| address | name | bits | access | meaning |",
        "|---|---|---|---|---|",
    ]
    for one in register_list(config):
        lines.append(f"| {one.address:#05x} | `{one.name}` | {one.bits} | {one.access} | {one.meaning} |")
    return "\n".join(lines) + "\n"


def header(config: EngineConfig) -> str:
    """Addresses as macros of C and C++, and the digest that the register of that name reads."""
    name = module_name(config).upper()
    lines = [
        f"/* Registers of {module_name(config)}: byte addresses in s_axi_control. */",
        f"#ifndef {name}_REGISTERS_H",
        f"#define {name}_REGISTERS_H",
        "",
        f"#define {name}_DIGEST_VALUE 0x{config.digest[:8]}u",
        "",
    ]
    for one in register_list(config):
        lines.append(f"#define {name}_{one.name.upper()} {one.address:#05x}u /* {one.bits} bits, {one.access} */")
    return "\n".join([*lines, "", "#endif", ""])


def described(config: EngineConfig) -> str:
    """The list as JSON."""
    records = [msgspec.to_builtins(one) for one in register_list(config)]
    return json.dumps({"module": module_name(config), "digest": config.digest, "registers": records}, indent=1) + "\n"
