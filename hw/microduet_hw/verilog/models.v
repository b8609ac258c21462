// What stands round a kernel in its self-checking testbench: plain Verilog, no vendor models.
`timescale 1ps / 1ps

// Sends the 512-bit beats of a file, one line each; bit 512 of a line is TLAST. `skip`: without the first SKIP.
module axis_source #(parameter FILE = "", parameter BEATS = 1, parameter SKIP = 0) (
  input wire clk, input wire enable, input wire skip, output wire tvalid, input wire tready,
  output wire [511:0] tdata, output wire tlast, output wire done);
  reg [512:0] beats [0:BEATS-1];
  integer sent = 0;
  wire [31:0] number = skip ? sent + SKIP : sent;
  initial $readmemh(FILE, beats);
  assign done = number == BEATS;
  assign tvalid = enable && !done;
  assign {tlast, tdata} = beats[done ? 0 : number];
  always @(posedge clk) if (tvalid && tready) sent <= sent + 1;
endmodule

// Compares the 128-bit beats that come with those of a file; drops ready every now and then.
module axis_checker #(parameter FILE = "", parameter BEATS = 1) (
  input wire clk, input wire tvalid, output wire tready, input wire [127:0] tdata,
  output wire done, output reg [31:0] faults);
  reg [127:0] expected [0:BEATS-1];
  reg [15:0] noise = 16'hACE1;
  integer seen = 0;
  initial begin faults = 0; $readmemh(FILE, expected); end
  assign done = seen == BEATS;
  assign tready = noise[1:0] != 0;
  always @(posedge clk) begin
    noise <= {noise[14:0], noise[15] ^ noise[13] ^ noise[12] ^ noise[10]};
    if (tvalid && tready) begin
      if (seen >= BEATS || tdata !== expected[seen]) begin
        $display("result %0d: expected %h, actual %h", seen, expected[seen < BEATS ? seen : 0], tdata);
        faults <= faults + 1;
      end
      seen <= seen + 1;
    end
  end
endmodule

// A memory channel: checks the address and length of every read against a file and answers with the beats of another.
// A line of READS is {length - 1, address}; reads are answered in order, LATENCY cycles after they came. With ANY_ORDER
// they may come in any order, each as often as it is in the file.
module axi_read_memory #(parameter READS = "", parameter READ_COUNT = 1, parameter BEATS = "", parameter BEAT_COUNT = 1,
                         parameter LATENCY = 62, parameter NAME = "", parameter ANY_ORDER = 0) (
  input wire clk, input wire arvalid, output wire arready, input wire [63:0] araddr, input wire [5:0] arid,
  input wire [7:0] arlen, output wire rvalid, input wire rready, output wire [255:0] rdata, output wire [5:0] rid,
  output wire [1:0] rresp, output wire rlast, output reg [31:0] faults);
  reg [71:0] reads [0:READ_COUNT-1];
  reg [255:0] beats [0:BEAT_COUNT-1];
  reg [5:0] ids [0:63];
  reg [63:0] due [0:63];
  reg [63:0] now = 0;
  integer first [0:READ_COUNT-1];
  reg [READ_COUNT-1:0] came = 0;
  integer chosen [0:63];
  integer asked = 0, answered = 0, place = 0, k = 0, total = 0;
  wire [31:0] answer = chosen[answered % 64];
  function [31:0] find(input [71:0] request, input [READ_COUNT-1:0] gone, input [31:0] number);
    integer n;
    begin
      find = number < READ_COUNT ? number : 0;
      if (ANY_ORDER != 0)
        for (n = READ_COUNT - 1; n >= 0; n = n - 1) if (!gone[n] && request === reads[n]) find = n;
    end
  endfunction
  wire [31:0] found = find({arlen, araddr}, came, asked);
  initial begin
    faults = 0;
    if (READ_COUNT > 0) begin $readmemh(READS, reads); $readmemh(BEATS, beats); end
    for (k = 0; k < READ_COUNT; k = k + 1) begin
      first[k] = total;
      total = total + reads[k][71:64] + 1;
    end
  end
  assign arready = asked - answered < 64;
  assign rvalid = answered < asked && due[answered % 64] <= now;
  // Known values even while nothing is answered: an unknown ID would spread over all that it could select.
  assign rdata = rvalid ? beats[first[answer] + place] : 0;
  assign rid = rvalid ? ids[answered % 64] : 0;
  assign rresp = 0;
  assign rlast = rvalid && place == reads[answer][71:64];
  always @(posedge clk) begin
    now <= now + 1;
    if (arvalid && arready) begin
      if (asked >= READ_COUNT || came[found] || {arlen, araddr} !== reads[found]) begin
        $display("%0s read %0d: expected %h, actual %h", NAME, asked, reads[asked < READ_COUNT ? asked : 0], {arlen, araddr});
        faults <= faults + 1;
      end
      came[found] <= 1;
      chosen[asked % 64] <= found;
      ids[asked % 64] <= arid;
      due[asked % 64] <= now + LATENCY;
      asked <= asked + 1;
    end
    if (rvalid && rready) begin
      place <= rlast ? 0 : place + 1;
      if (rlast) answered <= answered + 1;
    end
  end
endmodule

// Writes a list of registers over AXI4-Lite: a line is {address, data}.
module lite_writer #(parameter FILE = "", parameter WRITES = 1) (
  input wire clk, input wire enable, output wire valid, input wire awready, output wire [11:0] awaddr,
  output wire [31:0] wdata, output wire done);
  reg [43:0] writes [0:WRITES-1];
  integer sent = 0;
  initial $readmemh(FILE, writes);
  assign done = sent == WRITES;
  assign valid = enable && !done;
  assign {awaddr, wdata} = writes[done ? 0 : sent];
  always @(posedge clk) if (valid && awready) sent <= sent + 1;
endmodule
