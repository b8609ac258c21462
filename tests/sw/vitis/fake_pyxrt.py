"""A double of pyxrt's interface: no card, but everything that a card would be told is kept, in order.

`Machine` is what XRT would find; its module has the names of pyxrt that the driver uses, and no others.
"""

import enum
import types
import zlib
from pathlib import Path

import numpy as np

from microduet_hw.registers import Register

HBM_BYTES = 512 << 20
PAGE = 4096


class Direction(enum.Enum):
    XCL_BO_SYNC_BO_TO_DEVICE = 0
    XCL_BO_SYNC_BO_FROM_DEVICE = 1


class State(enum.Enum):
    ERT_CMD_STATE_COMPLETED = 4
    ERT_CMD_STATE_TIMEOUT = 8


class Flags(enum.Enum):
    normal = 0


class Machine:
    """Cards, the one binary that they take, and what was done.

    Parameters
    ----------
    registers : what registers read at first
    answer : results, uint8 (items, 16), of what the items' mover was given: uint32 (beats, 16)
    """

    def __init__(self, *, registers, answer, cards=1, memories=32, skew=0):
        self.registers, self.answer, self.cards, self.skew = dict(registers), answer, cards, skew
        self.memories = {f"HBM[{k}]": k + 10 for k in range(memories)}  # numbers are not those of the names
        self.log, self.sent, self.buffers = [], {}, []
        self.silent = False

    def module(self, *, ip=True):
        """pyxrt, as this machine has it."""
        found = types.ModuleType("pyxrt")
        found.xclBOSyncDirection, found.ert_cmd_state = Direction, State
        found.enumerate_devices = lambda: self.cards
        found.device = lambda number: Device(self, number)
        found.xclbin = lambda path: Binary(self, path)
        found.kernel = lambda device, identity, name: Kernel(self, name)
        found.run = lambda kernel: Run(self, kernel)
        found.bo = lambda device, size, flags, group: Buffer(self, size, group)
        found.bo.flags = Flags
        if ip:
            found.ip = lambda device, identity, name: Ip(self, name)
        return found


class Device:
    def __init__(self, machine, number):
        self._machine, self._number = machine, number

    def load_xclbin(self, binary):
        if b"xclbin2" not in Path(binary.path).read_bytes():
            raise RuntimeError("bad magic")
        self._machine.log.append(("load_xclbin", self._number))
        return "identity"


class Memory:
    def __init__(self, tag, index):
        self.get_tag, self.get_index, self.get_used = lambda: tag, lambda: index, lambda: True


class Binary:
    def __init__(self, machine, path):
        self._machine, self.path = machine, path

    def get_mems(self):
        return [Memory(tag, index) for tag, index in self._machine.memories.items()]


class Ip:
    def __init__(self, machine, name):
        self._machine = machine
        machine.log.append(("ip", name))

    def write_register(self, offset, data):
        assert 0 <= data < 1 << 32
        self._machine.log.append(("write", offset, data))
        self._machine.registers[offset] = data

    def read_register(self, offset):
        return self._machine.registers.get(offset, 0)


class Kernel:
    def __init__(self, machine, name):
        self.name = name.split(":")[0]
        assert name == f"{self.name}:{{{self.name}}}"

    def group_id(self, argument):
        assert argument == (1 if self.name == "microduet_receive" else 0), "the stream has no memory"
        return 5


class Buffer:
    """Host and card memory are apart until they are synchronised."""

    def __init__(self, machine, size, group):
        self.host, self.card, self.group = np.zeros(size, np.uint8), np.zeros(size, np.uint8), group
        self._address = (group << 34) + PAGE * (len(machine.buffers) + 1) + machine.skew
        machine.buffers.append(self)

    def write(self, contents, seek):
        data = np.frombuffer(contents, np.uint8)
        self.host[seek : seek + len(data)] = data

    def read(self, size, skip):
        return self.host[skip : skip + size].view(np.int8)

    def sync(self, direction, size, offset):
        source, target = (
            (self.host, self.card) if direction is Direction.XCL_BO_SYNC_BO_TO_DEVICE else (self.card, self.host)
        )
        target[offset : offset + size] = source[offset : offset + size]

    def size(self):
        return len(self.host)

    def address(self):
        return self._address


class Run:
    def __init__(self, machine, kernel):
        self._machine, self._name, self._arguments = machine, kernel.name, {}

    def set_arg(self, number, value):
        self._arguments[number] = value

    def start(self):
        log, given = self._machine.log, self._arguments
        log.append(("start", self._name, *[value for _, value in sorted(given.items()) if isinstance(value, int)]))
        if self._name == "microduet_receive":
            self._machine.waiting = (given[1], given[2])
            return
        beats = given[0].card[: 64 * given[2]].copy().view(np.uint32).reshape(-1, 16)
        self._machine.sent.setdefault(self._name, []).append((given[3], beats))
        if self._name == "microduet_send_load":
            registers = self._machine.registers
            registers[Register.LOADED] = zlib.crc32(beats.tobytes(), registers.get(Register.LOADED, 0))
        if self._name == "microduet_send_items":
            buffer, count = self._machine.waiting
            answers = self._machine.answer(beats.reshape(-1, 16 * given[3]))
            assert answers.shape == (count, 16)
            buffer.card[: 16 * count] = answers.reshape(-1)

    def wait(self, milliseconds):
        assert milliseconds > 0
        stuck = self._machine.silent and self._name == "microduet_receive"
        return State.ERT_CMD_STATE_TIMEOUT if stuck else State.ERT_CMD_STATE_COMPLETED
