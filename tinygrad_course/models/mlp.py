"""Deep fully connected nets, plain and residual: the pair that shows what a skip connection does."""

from .. import nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
WEIGHT_SCALES = {"he": 2.0, "xavier": 1.0}


class DeepMLP(nn.Module):
    """`depth` weight layers: a stem, (depth - 2)/2 blocks of two hidden layers, and a linear classifier.

        stem    x -> relu(bn(W x))
        block   plain:     h -> relu(bn(W₂ relu(bn(W₁ h))))
                residual:  h -> relu(h + bn(W₂ relu(bn(W₁ h))))          (He et al. 2016, fig. 2)

    Plain and residual nets of one depth have the same parameters: the skip has none. `batch_norm=False` leaves
    the normalization out; then a residual branch is multiplied by 1/√(number of blocks), which keeps the signal's
    size bounded, (1 + 1/B)^B < e. Hidden weights are N(0, c/fan_in) with c = 2 for `init="he"` and 1 for
    "xavier" (or c = `init` itself, a number), biases 0. Linear layers before a batch norm have no bias: it would
    be subtracted again.
    """

    def __init__(self, depth, width=64, inputs=784, classes=10, residual=False, batch_norm=True, init="he",
                 activation="relu"):  # fmt: skip
        super().__init__()
        if depth < 4 or depth % 2:
            raise ValueError(f"DeepMLP: depth counts stem, blocks of two layers and classifier: even and ≥ 4, got {depth}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"DeepMLP: activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.depth, self.residual = depth, residual
        blocks = (depth - 2) // 2
        branch_scale = blocks**-0.5 if residual and not batch_norm else 1.0
        self.flatten = nn.Flatten()
        self.stem = _Stem(inputs, width, batch_norm, activation)
        self.blocks = nn.Sequential(
            *[Block(width, residual, batch_norm, activation, branch_scale) for _ in range(blocks)]
        )
        self.head = nn.Linear(width, classes)
        scale = WEIGHT_SCALES.get(init, init)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=((1.0 if module is self.head else scale) / module.in_features) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x):
        return self.head(self.blocks(self.stem(self.flatten(x))))


class _Stem(nn.Module):
    def __init__(self, inputs, width, batch_norm, activation):
        super().__init__()
        self.fc = nn.Linear(inputs, width, bias=not batch_norm)
        self.bn = nn.BatchNorm1d(width) if batch_norm else nn.Identity()
        self.act = ACTIVATIONS[activation]()

    def forward(self, x):
        return self.act(self.bn(self.fc(x)))


class Block(nn.Module):
    """Two hidden layers of one width, with or without the skip around them."""

    def __init__(self, width, residual, batch_norm=True, activation="relu", branch_scale=1.0):
        super().__init__()
        self.residual, self.branch_scale = residual, branch_scale
        self.fc1 = nn.Linear(width, width, bias=not batch_norm)
        self.bn1 = nn.BatchNorm1d(width) if batch_norm else nn.Identity()
        self.act1 = ACTIVATIONS[activation]()
        self.fc2 = nn.Linear(width, width, bias=not batch_norm)
        self.bn2 = nn.BatchNorm1d(width) if batch_norm else nn.Identity()
        self.act2 = ACTIVATIONS[activation]()

    def forward(self, x):
        out = self.bn2(self.fc2(self.act1(self.bn1(self.fc1(x)))))
        if self.residual:
            out = x + (out if self.branch_scale == 1.0 else out * self.branch_scale)
        return self.act2(out)

    def extra_repr(self):
        return "residual" if self.residual else "plain"
