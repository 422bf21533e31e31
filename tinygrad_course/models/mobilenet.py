"""MobileNetV2 (Sandler et al. 2018): inverted residuals of depthwise convolutions."""

from .. import nn


class ConvBNActivation(nn.Sequential):
    """Convolution without bias, batch norm, ReLU6; the output is as large as the input divided by the stride."""

    def __init__(self, in_planes, out_planes, kernel_size=3, stride=1, groups=1):
        padding = (kernel_size - 1) // 2
        super().__init__(
            nn.Conv2d(in_planes, out_planes, kernel_size, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(out_planes),
            nn.ReLU6(inplace=True),
        )


class InvertedResidual(nn.Module):
    """Widen `expand_ratio` times with a 1×1 convolution, filter each channel on its own, narrow again without ReLU.

    Only a block that keeps the shape (stride 1, inp = oup) adds its input: `use_res_connect`. The narrow ends are
    what is added, the opposite of ResNet's bottleneck.
    """

    def __init__(self, inp, oup, stride, expand_ratio):
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride should be 1 or 2, got {stride}")
        self.stride, self.use_res_connect = stride, stride == 1 and inp == oup
        hidden = round(inp * expand_ratio)
        layers = [] if expand_ratio == 1 else [ConvBNActivation(inp, hidden, kernel_size=1)]
        self.conv = nn.Sequential(
            *layers,
            ConvBNActivation(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, oup, 1, 1, 0, bias=False),
            nn.BatchNorm2d(oup),
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """x (N, 3, H, W), usually 224×224 -> logits (N, num_classes).

    17 inverted residuals, 10 of them with a skip; 3,504,872 parameters and 0.301 billion multiply-adds at
    `width_mult` 1 and 1000 classes.
    """

    SETTING = [  # expand_ratio, channels, blocks, stride of the first
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]  # fmt: skip

    def __init__(self, num_classes=1000, width_mult=1.0, inverted_residual_setting=None, round_nearest=8, dropout=0.2):
        super().__init__()
        inputs = rounded(32 * width_mult, round_nearest)
        self.last_channel = rounded(1280 * max(1.0, width_mult), round_nearest)
        features = [ConvBNActivation(3, inputs, stride=2)]
        for expand_ratio, channels, blocks, stride in inverted_residual_setting or self.SETTING:
            outputs = rounded(channels * width_mult, round_nearest)
            for block in range(blocks):
                features.append(InvertedResidual(inputs, outputs, 1 if block else stride, expand_ratio))
                inputs = outputs
        features.append(ConvBNActivation(inputs, self.last_channel, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def rounded(channels, divisor=8):
    """The nearest multiple of `divisor` that is not more than 10 % below `channels`."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest


def mobilenet_v2(**options):
    """MobileNetV2."""
    return MobileNetV2(**options)
