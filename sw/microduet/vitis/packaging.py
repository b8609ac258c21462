"""Tcl that makes a kernel object (.xo) of the Verilog, for Vivado (UG1700, "Packaging the RTL Code as a Vitis XO")."""

from collections.abc import Iterable

from microduet.vitis.kernel_xml import LIBRARY, VENDOR, VERSION
from microduet.vitis.register_list import register_list
from microduet_hw.bases import base_map
from microduet_hw.config import EngineConfig
from microduet_hw.export import module_name, streams
from microduet_hw.kernel import CLOCKS, RESETS
from microduet_hw.lookup.unit import port_name

SCRIPT = "package.tcl"


def interfaces(config: EngineConfig) -> dict[str, str]:
    """Every bus of the kernel and its clock domain."""
    memory = {port_name(source): "mem" for source in config.channels}
    return {"s_axi_control": "sync", **memory, **streams(config)}


def packaging(config: EngineConfig, sources: Iterable[str]) -> str:
    """The script: a project of `sources`, packaged as an IP, its buses tied to clocks, its registers, the object."""
    name = module_name(config)
    files = " ".join(sorted(sources))
    lines = [
        f"# Packages {name}: vivado -mode batch -source {SCRIPT}",
        "set here [file dirname [file normalize [info script]]]",
        "cd $here",
        "file delete -force project ip",
        f"create_project -force {name} project",
        f"add_files -norecurse {{{files}}}",
        f"set_property top {name} [current_fileset]",
        "update_compile_order -fileset sources_1",
        f"ipx::package_project -root_dir ip -vendor {VENDOR} -library {LIBRARY} -taxonomy /KernelIP "
        "-import_files -set_current true",
        "set core [ipx::current_core]",
        f"set_property name {name} $core",
        f"set_property version {VERSION} $core",
        "set_property core_revision 1 $core",
        "set_property sdx_kernel true $core",
        "set_property sdx_kernel_type rtl $core",
        *_clocks(config),
        *_registers(config),
        "ipx::create_xgui_files $core",
        "ipx::update_checksums $core",
        "ipx::check_integrity -kernel $core",
        "ipx::save_core $core",
        f"package_xo -force -xo_path {name}.xo -kernel_name {name} "
        "-kernel_xml kernel.xml -ip_directory ip",  # which says that the kernel is user-managed
        "close_project -delete",
    ]
    return "\n".join(lines) + "\n"


def _clocks(config: EngineConfig) -> list[str]:
    lines: list[str] = []
    for bus, domain in interfaces(config).items():
        lines.append(f"ipx::associate_bus_interfaces -busif {bus} -clock {CLOCKS[domain]} $core")
    for domain, clock in CLOCKS.items():
        reset = RESETS[domain]
        lines += [
            f"ipx::infer_bus_interface {reset} xilinx.com:signal:reset_rtl:1.0 $core",
            f"set reset [ipx::get_bus_interfaces {reset} -of_objects $core]",
            'set_property value ACTIVE_LOW [ipx::add_bus_parameter "POLARITY" $reset]',
            f"ipx::associate_bus_interfaces -clock {clock} -reset {reset} $core",
        ]
    return lines


def _registers(config: EngineConfig) -> list[str]:
    """Registers of the memory map; a base belongs to the memory port whose buffers it points to."""
    ports = {name: port_name(source) for name, source in zip(base_map(config), config.channels, strict=True)}
    lines = [
        "set map [ipx::get_memory_maps s_axi_control -of_objects $core]",
        "set block [ipx::get_address_blocks reg0 -of_objects $map]",
    ]
    for one in register_list(config):
        lines += [
            f"set register [ipx::add_register {one.name} $block]",
            f"set_property address_offset {one.address:#x} $register",
            f"set_property size {one.bits} $register",
        ]
        if one.name in ports:
            lines += [
                "set parameter [ipx::add_register_parameter ASSOCIATED_BUSIF $register]",
                f"set_property value {ports[one.name]} $parameter",
            ]
    return lines
