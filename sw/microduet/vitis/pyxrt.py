"""Finds pyxrt, XRT's own Python module, a card, and access to registers; says in one line what is missing."""

import importlib
import typing
from pathlib import Path

from microduet.errors import DeviceError, InputError

WAYS = "source XRT's setup.sh, or open the bundle without backend='xrt' to simulate it"


def find_pyxrt() -> typing.Any:
    """The module.

    Raises
    ------
    DeviceError
        If it is not installed, or is not XRT's.
    """
    try:
        return importlib.import_module("pyxrt")
    except ImportError as error:
        raise DeviceError(f"backend xrt needs pyxrt, which comes with AMD's XRT: {error}; {WAYS}") from error


def find_ip(pyxrt: typing.Any) -> typing.Any:
    """The class that reads and writes registers of a kernel which XRT does not start (xrt::ip).

    Raises
    ------
    DeviceError
        If neither pyxrt nor the extension that comes with a kernel's files has it.
    """
    if hasattr(pyxrt, "ip"):
        return pyxrt.ip
    try:
        return importlib.import_module("microduet_ip").ip
    except ImportError as error:
        raise DeviceError(
            "this pyxrt does not reach registers (xrt::ip): build microduet_ip.cpp of `microduet verilog --kernel` "
            "and put the module on the Python path"
        ) from error


def open_card(pyxrt: typing.Any, card: int) -> typing.Any:
    """Card number `card`.

    Raises
    ------
    DeviceError
        If there is none.
    """
    count = int(pyxrt.enumerate_devices())
    if not 0 <= card < count:
        raise DeviceError(f"backend xrt needs a card: XRT finds {count}, so there is no number {card}; {WAYS}")
    try:
        return pyxrt.device(card)
    except RuntimeError as error:
        raise DeviceError(f"card {card} cannot be opened: {error}") from error


def load_binary(pyxrt: typing.Any, device: typing.Any, path: Path) -> tuple[typing.Any, dict[str, int]]:
    """Load the card's binary: its identity, and the number of each memory that is used by its name, ``HBM[0]``.

    Raises
    ------
    InputError
        If there is no such file.
    DeviceError
        If XRT does not take it.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; xclbin must be what `v++ --link` wrote")
    try:
        binary = pyxrt.xclbin(str(path))
        identity = device.load_xclbin(binary)
    except RuntimeError as error:
        raise DeviceError(f"{path}: cannot be loaded: {error}") from error
    return identity, {memory.get_tag(): int(memory.get_index()) for memory in binary.get_mems() if memory.get_used()}
