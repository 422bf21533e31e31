"""What `summary` finds out: receptive fields, one row a layer, the whole model, and how it is printed."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Field:
    """What one value of a feature map sees of the input: `size` pixels along each dimension; its neighbour sees
    the same, `jump` pixels on."""

    size: tuple
    jump: tuple

    def through(self, kernel_size, stride, dilation=1):
        """The field behind a window: size + dilation (kernel - 1) jump, and jump · stride."""
        k, s, d = (as_tuple(v, len(self.size)) for v in (kernel_size, stride, dilation))
        size = tuple(r + e * (n - 1) * j for r, j, n, e in zip(self.size, self.jump, k, d, strict=True))
        return Field(size, tuple(j * t for j, t in zip(self.jump, s, strict=True)))

    def merged(self, other):
        """The field of a sum or concatenation: the larger one."""
        if other is None or len(other.size) != len(self.size):
            return self
        return Field(tuple(map(max, self.size, other.size)), tuple(map(max, self.jump, other.jump)))


def as_tuple(value, n):
    """An int, or n of them, as n."""
    value = tuple(value) if isinstance(value, tuple | list) else (value,)
    return value * n if len(value) == 1 else value


@dataclasses.dataclass
class LayerSummary:
    """One call of one layer. `name` is its dotted path; `macs` multiply-adds; `memory` bytes of the output; `field`
    its receptive field in the input, None where there is none. A layer's parameters count at its first call."""

    name: str
    type: str
    output_shape: tuple
    parameters: int
    trainable: int
    macs: int
    memory: int
    field: Field | None

    @property
    def receptive_field(self):
        """An int if it is the same along all dimensions, else a tuple; None if there is none."""
        return None if self.field is None else _one(self.field.size)

    @property
    def jump(self):
        """Pixels of the input from one output to its neighbour: the product of the strides so far."""
        return None if self.field is None else _one(self.field.jump)


@dataclasses.dataclass
class ModelSummary:
    """What `summary` returns; `print` shows a table. Bytes, and numbers for the whole batch."""

    name: str
    input_shapes: list
    layers: list
    parameters: int
    trainable: int
    parameter_bytes: int
    buffer_bytes: int
    input_bytes: int

    @property
    def macs(self):
        """Multiply-adds of one forward pass."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self):
        """Floating-point operations of these: a multiply-add is two."""
        return 2 * self.macs

    @property
    def output_bytes(self):
        """Bytes of all layers' outputs, what a training step keeps for backward (without in-place tricks)."""
        return sum(layer.memory for layer in self.layers)

    total_params = property(lambda self: self.parameters)
    trainable_params = property(lambda self: self.trainable)
    total_mult_adds = property(lambda self: self.macs)

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)

    def __getitem__(self, which):
        """A layer by position, or the first of this dotted name."""
        if isinstance(which, str):
            for layer in self.layers:
                if layer.name == which:
                    return layer
            raise KeyError(f"no layer {which!r} ran; there are {', '.join(layer.name for layer in self.layers)}")
        return self.layers[which]

    def __str__(self):
        head = ("layer", "type", "output shape", "parameters", "multiply-adds", "memory", "receptive field")
        table = [head] + [
            (
                layer.name or f"({self.name})", layer.type, _shape(layer.output_shape), f"{layer.parameters:,}",
                f"{layer.macs:,}", _bytes(layer.memory), _field(layer),
            )
            for layer in self.layers
        ]  # fmt: skip
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(t.ljust(w) if i < 2 else t.rjust(w) for i, (t, w) in enumerate(zip(row, widths, strict=True)))
            for row in table
        ]
        rule = "─" * max(map(len, lines))
        shapes = ", ".join(_shape(s) for s in self.input_shapes)
        return "\n".join([
            f"{self.name}: input {shapes}", rule, lines[0].rstrip(), rule, *[line.rstrip() for line in lines[1:]], rule,
            f"parameters     {self.parameters:,} ({self.trainable:,} trainable), {_bytes(self.parameter_bytes)}",
            f"multiply-adds  {self.macs:,}",
            f"outputs        {_bytes(self.output_bytes)}",
        ])  # fmt: skip

    __repr__ = __str__


def _one(values):
    return values[0] if len(set(values)) == 1 else tuple(values)


def _shape(shape):
    return "–" if shape is None else "×".join(map(str, shape)) or "()"


def _field(layer):
    if layer.field is None:
        return ""
    size = "×".join(map(str, layer.field.size)) if isinstance(layer.receptive_field, tuple) else layer.receptive_field
    jump = "×".join(map(str, layer.field.jump)) if isinstance(layer.jump, tuple) else layer.jump
    return f"{size} (every {jump})"


def _bytes(count):
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"
