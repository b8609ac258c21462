"""Modules that are written in Verilog, and the texts that need them."""

from microduet_hw import crc
from microduet_hw.lookup import ram

WRITTEN = {ram.MODULE: ram.VERILOG, crc.MODULE: crc.VERILOG}
"""Verilog by module."""


def needed(*texts: str) -> dict[str, str]:
    """Of `WRITTEN`, what the Verilog `texts` have instances of."""
    return {name: text for name, text in WRITTEN.items() if any(name in user for user in texts)}


def with_modules(verilog: str) -> str:
    """`verilog`, with the modules behind it that it has instances of."""
    return "\n".join([verilog, *needed(verilog).values()])
