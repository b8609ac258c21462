"""Signatures of the AXI interfaces: names, directions, widths, and what they refuse."""

import pytest
from amaranth.lib.wiring import In, Out

from microduet_hw.axi import SIZE_32_BYTES, LiteMaster, ReadMaster, StreamMaster

INTERFACES = [
    # signature, ports that a master drives, ports that it reads
    (StreamMaster(bits=64), {"tvalid", "tdata", "tlast"}, {"tready"}),
    (
        LiteMaster(address_bits=12),
        {"awvalid", "awaddr", "wvalid", "wdata", "wstrb", "bready", "arvalid", "araddr", "rready"},
        {"awready", "wready", "bvalid", "bresp", "arready", "rvalid", "rdata", "rresp"},
    ),
    (
        ReadMaster(),
        {"arvalid", "araddr", "arid", "arlen", "arsize", "arburst", "rready"},
        {"arready", "rvalid", "rdata", "rid", "rresp", "rlast"},
    ),
]


@pytest.mark.parametrize(("signature", "driven", "read"), INTERFACES)
def test_directions_are_those_of_the_master(signature, driven, read):
    assert {name for name, member in signature.members.items() if member.flow is Out} == driven
    assert {name for name, member in signature.members.items() if member.flow is In} == read


WIDTHS = [
    (StreamMaster(bits=512), "tdata", 512),
    (LiteMaster(address_bits=12), "awaddr", 12),
    (LiteMaster(address_bits=12), "araddr", 12),
    (LiteMaster(address_bits=12), "wstrb", 4),
    (ReadMaster(), "rdata", 256),
    (ReadMaster(), "araddr", 34),
    (ReadMaster(), "arlen", 8),
    (ReadMaster(), "rid", 6),
]


@pytest.mark.parametrize(("signature", "name", "bits"), WIDTHS)
def test_widths_are_those_of_the_standard(signature, name, bits):
    assert signature.members[name].shape == bits


def test_beats_of_a_burst_are_as_wide_as_the_port():
    assert ReadMaster().members["rdata"].shape == 8 << SIZE_32_BYTES


@pytest.mark.parametrize("bits", [0, 7, 12, -8])
def test_refuses_a_stream_of_broken_bytes(bits):
    with pytest.raises(ValueError, match=f"positive multiple of 8, not {bits}"):
        StreamMaster(bits=bits)


@pytest.mark.parametrize("bits", [1, 0, -1])
def test_refuses_addresses_of_less_than_a_word(bits):
    with pytest.raises(ValueError, match=f"at least 2, not {bits}"):
        LiteMaster(address_bits=bits)
