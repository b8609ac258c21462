"""Fully connected layers on one array of processing elements: what a unit of the edge computes."""

from microduet_hw.config import Array, Frozen, Layer, Precision


class Stack(Frozen, frozen=True, kw_only=True):
    """Layers that one `PeArray` of `pes` elements of `lanes` lanes computes in turn.

    It has the attributes that `layout` and `pe_array_shape` read of an `EngineConfig`.

    Parameters
    ----------
    precision : arithmetic of all layers
    inputs : elements of the input vector, in words of `lanes`
    layers : at least one
    streamed : weights come from memory, a row of all PEs per step, instead of lying in the PEs

    Raises
    ------
    ValueError
        If the layers do not chain or the array cannot be built.
    """

    precision: Precision
    inputs: int
    layers: tuple[Layer, ...]
    pes: int
    lanes: int
    streamed: bool = False

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("a stack has at least one layer, not ()")
        wanted = self.inputs
        for number, layer in enumerate(self.layers):
            if layer.inputs != wanted:
                raise ValueError(f"layer {number}: inputs must be {wanted}, not {layer.inputs}")
            wanted = layer.outputs
        _ = self.arrays  # checks the array

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """All layers: none of them is an engine's output layer."""
        return self.layers

    @property
    def outputs(self) -> int:
        """Elements of the last layer's output."""
        return self.layers[-1].outputs

    @property
    def vector_elements(self) -> int:
        """Elements of the input vector."""
        return self.inputs

    @property
    def sections(self) -> tuple[int, ...]:
        """The input vector is one section, which begins with a word."""
        return (self.inputs,)

    @property
    def bottom(self) -> int:
        """No layer is of a bottom MLP."""
        return 0

    @property
    def input_lanes(self) -> int:
        """Elements of one word of the input vector."""
        return self.lanes

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The one array; words leave it as they come in."""
        return (Array(pes=self.pes, lanes=self.lanes, drain=self.lanes, layers=tuple(range(len(self.layers)))),)

    @property
    def accumulator_width(self) -> int:
        """Bits that hold any sum of products and its bias."""
        return self.precision.accumulator_width(max(layer.inputs for layer in self.layers))

    @property
    def multipliers(self) -> int:
        """Multipliers of the array."""
        return self.pes * self.lanes

    @property
    def macs(self) -> int:
        """Products of one vector that the model asks for."""
        return sum(layer.inputs * layer.outputs for layer in self.layers)
