"""An engine as a kernel of Vitis: what describes it to the tools, and to whoever writes a host program."""
