"""A unit's control registers, read and written by name."""

import typing

from microduet.errors import InputError
from microduet_hw.registers import Controlled, register_map


class Accessible(typing.Protocol):
    """What has registers."""

    def read(self, register: int) -> int:
        """A register, 32 bits, by its byte address."""
        ...

    def write(self, register: int, value: int) -> None:
        """Write a register by its byte address."""
        ...


class Registers:
    """The control registers by name, as numbers: ``device.registers["items"]``."""

    def __init__(self, config: Controlled, unit: Accessible) -> None:
        self._map, self._unit = register_map(config), unit

    def __getitem__(self, name: str) -> int:
        return self._unit.read(self._address(name))

    def __setitem__(self, name: str, value: int) -> None:
        self._unit.write(self._address(name), value)

    def __iter__(self) -> typing.Iterator[str]:
        return iter(self._map)

    def wide(self, name: str) -> int:
        """A 64-bit counter."""
        return self[name] | self._unit.read(self._address(name) + 4) << 32

    def _address(self, name: str) -> int:
        if name not in self._map:
            raise InputError(f"register must be one of {', '.join(self._map)}, not {name!r}")
        return self._map[name]
