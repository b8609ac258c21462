"""A large memory, as a Verilog module of its own: Amaranth writes out every word of a memory's initial contents."""

from amaranth.hdl import ClockSignal, Instance, Value

MODULE = "microduet_ram"

VERILOG = f"""\
// Memory of DEPTH words, one port to write and one to read, one clock: block RAM or UltraRAM.
// Reading the word that is being written gives its old contents.
module {MODULE} #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ADDRESS_BITS = 4
) (
    input wire clk,
    input wire write,
    input wire [ADDRESS_BITS-1:0] write_address,
    input wire [WIDTH-1:0] write_data,
    input wire read,
    input wire [ADDRESS_BITS-1:0] read_address,
    output reg [WIDTH-1:0] read_data
);
    reg [WIDTH-1:0] words [0:DEPTH-1];
    always @(posedge clk) begin
        if (write) words[write_address] <= write_data;
        if (read) read_data <= words[read_address];
    end
endmodule
"""
"""Verilog that goes with every design that has an on-chip bank."""


def ram(
    *,
    depth: int,
    domain: str,
    write: Value,
    write_address: Value,
    write_data: Value,
    read: Value,
    read_address: Value,
    read_data: Value,
) -> Instance:
    """A memory of `depth` words; the addresses' and data's widths are those of the signals."""
    return Instance(
        MODULE,
        p_WIDTH=len(write_data),
        p_DEPTH=depth,
        p_ADDRESS_BITS=len(write_address),
        i_clk=ClockSignal(domain),
        i_write=write,
        i_write_address=write_address,
        i_write_data=write_data,
        i_read=read,
        i_read_address=read_address,
        o_read_data=read_data,
    )
