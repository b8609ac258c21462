// An engine of one memory channel without arithmetic: for each item it reads the row that the first index names and
// answers with the tag, the row's first word and a status. It has the outside ports of a real engine, and one item is
// in flight at a time.
module MODULE (
    input clk, input rst, input mem_clk, input mem_rst,
    input s_axis_items__tvalid, output s_axis_items__tready, input [511:0] s_axis_items__tdata, input s_axis_items__tlast,
    input s_axis_load__tvalid, output s_axis_load__tready, input [511:0] s_axis_load__tdata, input s_axis_load__tlast,
    output reg m_axis_results__tvalid, input m_axis_results__tready, output [127:0] m_axis_results__tdata,
    output m_axis_results__tlast,
    output reg m_axi_00__arvalid, input m_axi_00__arready, output reg [33:0] m_axi_00__araddr,
    output [5:0] m_axi_00__arid, output [7:0] m_axi_00__arlen, output [2:0] m_axi_00__arsize,
    output [1:0] m_axi_00__arburst,
    input m_axi_00__rvalid, output m_axi_00__rready, input [255:0] m_axi_00__rdata, input [5:0] m_axi_00__rid,
    input [1:0] m_axi_00__rresp, input m_axi_00__rlast,
    input s_axi_control__awvalid, output s_axi_control__awready, input [11:0] s_axi_control__awaddr,
    input s_axi_control__wvalid, output s_axi_control__wready, input [31:0] s_axi_control__wdata,
    input [3:0] s_axi_control__wstrb, output reg s_axi_control__bvalid, input s_axi_control__bready,
    output [1:0] s_axi_control__bresp,
    input s_axi_control__arvalid, output s_axi_control__arready, input [11:0] s_axi_control__araddr,
    output reg s_axi_control__rvalid, input s_axi_control__rready, output reg [31:0] s_axi_control__rdata,
    output [1:0] s_axi_control__rresp,
    output interrupt, output reg probe_vector
);
    // Items, on the memory side: `sent` flips when a row is there, `back` when its result is out.
    reg [31:0] tag, word;
    reg [1:0] beat;
    reg failed, busy, sent, back_0, back_1, returned;
    assign s_axis_items__tready = !busy;
    assign m_axi_00__rready = 1;
    assign {m_axi_00__arid, m_axi_00__arlen, m_axi_00__arsize, m_axi_00__arburst} = {6'd5, 8'd0, 3'd5, 2'd1};
    always @(posedge mem_clk) begin
        {back_1, back_0} <= {back_0, back};
        probe_vector <= 0;
        if (m_axi_00__arready) m_axi_00__arvalid <= 0;
        if (s_axis_items__tvalid && s_axis_items__tready) begin
            beat <= beat + 1;
            if (beat == 0) begin
                tag <= s_axis_items__tdata[31:0];
                m_axi_00__araddr <= {s_axis_items__tdata[60:32], 5'd0};
            end
            if (s_axis_items__tlast) {beat, busy, m_axi_00__arvalid} <= {2'd0, 2'b11};
        end
        if (m_axi_00__rvalid) begin
            word <= m_axi_00__rdata[31:0];
            failed <= m_axi_00__rresp != 0;
            sent <= !sent;
            probe_vector <= 1;
        end
        if (busy && !m_axi_00__arvalid && back_1 == sent && returned != back_1) busy <= 0;
        returned <= back_1;
        if (mem_rst) {beat, busy, sent, m_axi_00__arvalid, returned} <= 0;
    end


    // Results, on the engine side.
    reg sent_0, sent_1, back;
    assign m_axis_results__tdata = {31'd0, failed, 16'd0, 16'd0, word, tag};
    assign m_axis_results__tlast = 1;
    always @(posedge clk) begin
        {sent_1, sent_0} <= {sent_0, sent};
        if (m_axis_results__tvalid && m_axis_results__tready) {m_axis_results__tvalid, back} <= {1'b0, !back};
        else if (sent_1 != back) m_axis_results__tvalid <= 1;
        if (rst) {m_axis_results__tvalid, back} <= 0;
    end

    // Control: a word to keep at 16, the number of load beats at 20 and the sum of their first words at 24.
    reg [31:0] kept, loads, sum;
    wire written = s_axi_control__awvalid && s_axi_control__wvalid && !s_axi_control__bvalid;
    assign s_axis_load__tready = 1;
    assign {s_axi_control__awready, s_axi_control__wready} = {written, written};
    assign s_axi_control__arready = !s_axi_control__rvalid;
    assign {s_axi_control__bresp, s_axi_control__rresp, interrupt} = 0;
    always @(posedge clk) begin
        if (s_axis_load__tvalid) {loads, sum} <= {loads + 32'd1, sum + s_axis_load__tdata[31:0]};
        if (s_axi_control__bready) s_axi_control__bvalid <= 0;
        if (written) begin
            s_axi_control__bvalid <= 1;
            if (s_axi_control__awaddr == 16) kept <= s_axi_control__wdata;
        end
        if (s_axi_control__rready) s_axi_control__rvalid <= 0;
        if (s_axi_control__arvalid && s_axi_control__arready) begin
            s_axi_control__rvalid <= 1;
            s_axi_control__rdata <= s_axi_control__araddr == 16 ? kept : s_axi_control__araddr == 20 ? loads : sum;
        end
        if (rst) {loads, sum, kept, s_axi_control__bvalid, s_axi_control__rvalid} <= 0;
    end
endmodule
