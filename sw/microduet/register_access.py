"""A unit's control registers, read and written by name."""

import typing

from microduet.errors import InputError
from microduet_hw.registers import Controlled, register_map
from microduet_sim.card import Card


class Registers:
    """The control registers by name, as numbers: ``device.registers["items"]``."""

    def __init__(self, config: Controlled, simulator: Card[typing.Any]) -> None:
        self._map, self._simulator = register_map(config), simulator

    def __getitem__(self, name: str) -> int:
        return self._simulator.read(self._address(name))

    def __setitem__(self, name: str, value: int) -> None:
        self._simulator.write(self._address(name), value)

    def __iter__(self) -> typing.Iterator[str]:
        return iter(self._map)

    def wide(self, name: str) -> int:
        """A 64-bit counter."""
        return self[name] | self._simulator.read(self._address(name) + 4) << 32

    def _address(self, name: str) -> int:
        if name not in self._map:
            raise InputError(f"register must be one of {', '.join(self._map)}, not {name!r}")
        return self._map[name]
