"""VGG (Simonyan & Zisserman 2015): depth from small filters. Three 3×3 convolutions see 7×7 pixels."""

from .. import nn

# Channels of the convolutions, "M" a max pooling; the configurations A, B, D and E of the paper.
LAYERS = {
    11: [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    13: [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    16: [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
    19: [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


class VGG(nn.Module):
    """x (N, 3, H, W), usually 224×224 -> logits (N, num_classes): 3×3 convolutions, then three linear layers.

    With 1000 classes VGG-19 has 143,667,240 parameters, 86 % of them in the linear layers, and takes 19.63 billion
    multiply-adds an image. `with nn.meta(): vgg19()` makes one without allocating them.
    """

    def __init__(self, features, num_classes=1000, init_weights=True, dropout=0.5):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout(p=dropout),
            nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
        if init_weights:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                    nn.init.zeros_(module.bias)
                elif isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, 0, 0.01)
                    nn.init.zeros_(module.bias)

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def make_layers(channels, batch_norm=False):
    """The convolutional part: 3×3 convolutions with ReLU, and 2×2 max pooling where the list says "M"."""
    layers, inputs = [], 3
    for outputs in channels:
        if outputs == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        else:
            layers.append(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1))
            layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            inputs = outputs
    return nn.Sequential(*layers)


def vgg11(**options):
    """VGG-11, configuration A."""
    return VGG(make_layers(LAYERS[11]), **options)


def vgg13(**options):
    """VGG-13, configuration B."""
    return VGG(make_layers(LAYERS[13]), **options)


def vgg16(**options):
    """VGG-16, configuration D."""
    return VGG(make_layers(LAYERS[16]), **options)


def vgg19(**options):
    """VGG-19, configuration E."""
    return VGG(make_layers(LAYERS[19]), **options)


def vgg11_bn(**options):
    """VGG-11 with batch norm after each convolution."""
    return VGG(make_layers(LAYERS[11], batch_norm=True), **options)


def vgg13_bn(**options):
    """VGG-13 with batch norm after each convolution."""
    return VGG(make_layers(LAYERS[13], batch_norm=True), **options)


def vgg16_bn(**options):
    """VGG-16 with batch norm after each convolution."""
    return VGG(make_layers(LAYERS[16], batch_norm=True), **options)


def vgg19_bn(**options):
    """VGG-19 with batch norm after each convolution."""
    return VGG(make_layers(LAYERS[19], batch_norm=True), **options)
