"""Deep fully connected nets, plain and residual: the pair that shows what a skip connection does."""

from .. import nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
WEIGHT_SCALES = {"he": 2.0, "xavier": 1.0}


class DeepMLP(nn.Module):
    """`depth` weight layers: a stem, (depth - 2)/2 blocks of two layers, and a linear classifier.

        stem    h = W x
        block   F(h) = W₂ relu(bn(W₁ relu(bn(h))));   plain: h -> F(h),  residual: h -> h + F(h)
        end     logits = V relu(bn(h)) + b

    The residual net is the one with identity mappings (He et al. 2016b): nothing but additions stands on the skip
    path. The plain net has the same layers in the same order, W, bn, relu, W, bn, relu, …, and the same
    parameters: the skip has none.

    Hidden weights are N(0, c/fan_in) with c = 2 for `init="he"`, 1 for "xavier", or c = `init` itself, a number;
    classifier weights N(0, 1/fan_in). `batch_norm=False` leaves the normalization out; then a residual branch is
    multiplied by 1/√(number of blocks B), which bounds the signal's growth: (1 + 1/B)^B < e.
    """

    def __init__(self, depth, width=64, inputs=784, classes=10, residual=False, batch_norm=True, init="he",
                 activation="relu"):  # fmt: skip
        super().__init__()
        if depth < 4 or depth % 2:
            raise ValueError(f"DeepMLP: depth (stem, blocks of two layers, classifier) must be even, ≥ 4; got {depth}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"DeepMLP: activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.depth, self.residual = depth, residual
        count = (depth - 2) // 2
        branch_scale = count**-0.5 if residual and not batch_norm else 1.0
        self.flatten = nn.Flatten()
        self.stem = nn.Linear(inputs, width, bias=False)
        blocks = [Block(width, residual, batch_norm, activation, branch_scale) for _ in range(count)]
        self.blocks = nn.Sequential(*blocks)
        self.norm = _norm(width, batch_norm)
        self.act = ACTIVATIONS[activation]()
        self.head = nn.Linear(width, classes)
        scale = WEIGHT_SCALES.get(init, init)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                variance = (1.0 if module is self.head else scale) / module.in_features
                nn.init.normal_(module.weight, std=variance**0.5)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        h = self.blocks(self.stem(self.flatten(x)))
        return self.head(self.act(self.norm(h)))


class Block(nn.Module):
    """Two layers of one width, with or without the skip around them."""

    def __init__(self, width, residual, batch_norm=True, activation="relu", branch_scale=1.0):
        super().__init__()
        self.residual, self.branch_scale = residual, branch_scale
        self.norm1, self.act1 = _norm(width, batch_norm), ACTIVATIONS[activation]()
        self.fc1 = nn.Linear(width, width, bias=False)
        self.norm2, self.act2 = _norm(width, batch_norm), ACTIVATIONS[activation]()
        self.fc2 = nn.Linear(width, width, bias=False)

    def forward(self, h):
        out = self.fc1(self.act1(self.norm1(h)))
        out = self.fc2(self.act2(self.norm2(out)))
        if not self.residual:
            return out
        return h + (out if self.branch_scale == 1.0 else out * self.branch_scale)


def _norm(width, batch_norm):
    return nn.BatchNorm1d(width) if batch_norm else nn.Identity()
