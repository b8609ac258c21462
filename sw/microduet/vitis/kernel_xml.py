"""``kernel.xml``: ports and arguments of a kernel as Vitis reads them (UG1702, "RTL Kernel XML File")."""

from xml.etree import ElementTree

from microduet_hw.bases import base_map
from microduet_hw.config import AXI_BYTES, EngineConfig
from microduet_hw.export import module_name, streams
from microduet_hw.kernel import bits_of, kernel_ports
from microduet_hw.lookup.unit import port_name
from microduet_hw.registers import ADDRESS_BITS, Register

VENDOR, LIBRARY, VERSION = "microduet", "kernel", "1.0"
PROTOCOL = "user_managed"
"""XRT does not start the kernel: the driver does, through registers (UG1393, "Creating User-Managed RTL Kernels")."""

SCALAR, GLOBAL, STREAM = "0", "1", "4"
"""Kinds of arguments, as `addressQualifier` numbers them."""


def vlnv(config: EngineConfig) -> str:
    """Vendor, library, name and version of the packaged kernel."""
    return f"{VENDOR}:{LIBRARY}:{module_name(config)}:{VERSION}"


def kernel_xml(config: EngineConfig) -> str:
    """The file's text. Each memory port has one argument of its own name, a pointer in the register of its base."""
    root = ElementTree.Element("root", versionMajor="1", versionMinor="6")
    kernel = ElementTree.SubElement(
        root,
        "kernel",
        name=module_name(config),
        language="ip",
        vlnv=vlnv(config),
        attributes="",
        preferredWorkGroupSizeMultiple="0",
        workGroupSize="1",
        interrupt="true",
        hwControlProtocol=PROTOCOL,
    )
    _ports(ElementTree.SubElement(kernel, "ports"), config)
    _arguments(ElementTree.SubElement(kernel, "args"), config)
    ElementTree.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _ports(parent: ElementTree.Element, config: EngineConfig) -> None:
    def add(name: str, mode: str, width: int, **place: str) -> None:
        kind = "addressable" if place else "stream"
        ElementTree.SubElement(
            parent, "port", {"name": name, "mode": mode, **place, "dataWidth": str(width), "portType": kind}
        )

    add("s_axi_control", "slave", 32, range=hex(1 << ADDRESS_BITS), base="0x0")
    for source in config.channels:
        add(port_name(source), "master", 8 * AXI_BYTES, range=f"0x{'F' * 16}", base="0x0")
    for name, bits in _stream_bits(config).items():
        add(name, "read_only" if name.startswith("s_") else "write_only", bits)


def _arguments(parent: ElementTree.Element, config: EngineConfig) -> None:
    def add(name: str, qualifier: str, port: str, **rest: str) -> None:
        number = str(len(parent))
        ElementTree.SubElement(
            parent, "arg", {"name": name, "addressQualifier": qualifier, "id": number, "port": port, **rest}
        )

    offset = hex(Register.ITEMS)
    scalar = {"size": "0x4", "offset": offset, "hostOffset": "0x0", "hostSize": "0x4", "type": "uint"}
    add("items", SCALAR, "s_axi_control", **scalar)
    for source, at in zip(config.channels, base_map(config).values(), strict=True):
        pointer = {"size": "0x8", "offset": hex(at), "hostOffset": "0x0", "hostSize": "0x8", "type": "void*"}
        add(port_name(source), GLOBAL, port_name(source), **pointer)
    for name, bits in _stream_bits(config).items():
        stream = {"size": "0x0", "offset": "0x0", "hostOffset": "0x0", "hostSize": "0x0"}
        add(name, STREAM, name, **stream, type=f"stream<ap_axiu<{bits},0,0,0>>&")


def _stream_bits(config: EngineConfig) -> dict[str, int]:
    """Data bits of each stream."""
    ports = kernel_ports(config)
    return {name: bits_of(ports[f"{name}_tdata"]) for name in streams(config)}
