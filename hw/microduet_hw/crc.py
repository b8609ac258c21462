"""The CRC-32 of what goes through a stream, as a Verilog module of its own.

Written as a loop in a branch, it is the same XOR gates, and a simulator computes nothing while nothing comes: as sums
of Amaranth they took an engine of 32 multipliers three times as long per cycle.
"""

from amaranth.hdl import ClockSignal, Instance, ResetSignal, Value, ValueLike

MODULE = "microduet_crc32"

VERILOG = f"""\
// CRC-32, as zlib has it, of all data that were taken since the reset, lowest bit first.
module {MODULE} #(
    parameter WIDTH = 512
) (
    input wire clk,
    input wire rst,
    input wire take,
    input wire [WIDTH-1:0] data,
    output reg [31:0] check
);
    function [31:0] after(input [31:0] sum, input [WIDTH-1:0] bits);
        integer k;
        begin
            after = ~sum;
            for (k = 0; k < WIDTH; k = k + 1)
                after = (after >> 1) ^ (after[0] ^ bits[k] ? 32'hEDB88320 : 32'h0);
            after = ~after;
        end
    endfunction
    initial check = 32'h0;
    always @(posedge clk) begin
        if (rst) check <= 32'h0;
        else if (take) check <= after(check, data);
    end
endmodule
"""
"""Verilog that goes with every design that is loaded."""


def crc32(*, take: Value, data: Value, check: Value, begin: ValueLike = 0) -> Instance:
    """The CRC `check`, 32 bits, of all `data` with `take` since the last `begin` (domain sync)."""
    return Instance(
        MODULE,
        p_WIDTH=len(data),
        i_clk=ClockSignal(),
        i_rst=ResetSignal() | begin,
        i_take=take,
        i_data=data,
        o_check=check,
    )
