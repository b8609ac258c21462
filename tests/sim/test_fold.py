"""What the rewriting of registers changes, and what it leaves alone."""

from microduet_sim.fold import fold_registers

COUNTER = r"""module counter(clk, enable, rst, count);
  reg [3:0] \$1 ;
  output reg [3:0] count = 4'h0;
  always @* begin
    if (\$initial ) begin end
    \$1  = count;
    if (enable) begin
      \$1 [1:0] = \$2 ;
      \$1  = \$3 ;
    end
    if (rst) begin
      \$1  = 4'h0;
    end
  end
  always @(posedge clk)
    count <= \$1 ;
endmodule
"""

FOLDED = r"""module counter(clk, enable, rst, count);
  output reg [3:0] count = 4'h0;
  always @(posedge clk) begin
    if (enable) begin
      count [1:0] <= \$2 ;
      count <= \$3 ;
    end
    if (rst) begin
      count <= 4'h0;
    end
  end
endmodule
"""


def test_next_value_moves_into_the_clocked_block() -> None:
    assert fold_registers(COUNTER) == FOLDED


def test_other_default_is_stored_first() -> None:
    text = COUNTER.replace("    \\$1  = count;\n", "    \\$1  = \\$9 ;\n")
    assert "begin\n    count <= \\$9 ;\n    if (enable)" in fold_registers(text)


def test_next_value_that_something_else_reads_stays() -> None:
    text = COUNTER.replace("endmodule", "  assign peek = \\$1 ;\nendmodule")
    assert fold_registers(text) == text


def test_next_value_that_reads_itself_stays() -> None:
    text = COUNTER.replace("\\$1  = \\$3 ;", "\\$1  = \\$1  + 1;")
    assert fold_registers(text) == text


def test_register_with_an_escaped_name() -> None:
    text = COUNTER.replace("count <=", "\\count$5  <=").replace("= count;", "= \\count$5 ;")
    assert "\\count$5 <= \\$3 ;" in fold_registers(text)


def test_modules_are_apart() -> None:
    other = "module other(a);\n  assign \\$1  = a;\nendmodule\n"
    assert fold_registers(COUNTER + other) == FOLDED + other
