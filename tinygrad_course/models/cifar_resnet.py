"""ResNets for CIFAR-sized images (He et al. 2016, section 4.2), and their plain twins."""

from .. import nn


class BasicBlock(nn.Module):
    """relu(bn(conv(relu(bn(conv x)))) + shortcut(x)); without `residual`, the shortcut is left out.

    Where the shape changes (stride 2, more channels) the shortcut is a 1×1 convolution with batch norm.
    """

    def __init__(self, inputs, outputs, stride=1, residual=True):
        super().__init__()
        self.residual = residual
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        if residual and (stride != 1 or inputs != outputs):
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        else:
            self.shortcut = nn.Identity()

    def forward(self, x):
        if not self.residual:
            return nn.chain(x, self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu)
        return self.relu(nn.chain(x, self.conv1, self.bn1, self.relu, self.conv2, self.bn2) + self.shortcut(x))


class CifarResNet(nn.Module):
    """6n + 2 weight layers: a 3×3 stem, three stages of n blocks with 16, 32, 64 channels, mean, classifier.

    x (N, 3, H, W) -> logits (N, classes). Depth 20 has 272,474 parameters, of which the two 1×1
    shortcuts with their norms have 2,752. `residual=False` is the plain twin, without them (269,722).
    """

    def __init__(self, depth=20, classes=10, channels=3, width=16, residual=True):
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"CifarResNet: depth must be 6n + 2 (8, 14, 20, 32, 44, 56, 110, …), got {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        stages, inputs = [], width
        for stage in range(3):
            outputs = width * 2**stage
            for block in range(blocks):
                stages.append(BasicBlock(inputs, outputs, 2 if stage and not block else 1, residual))
                inputs = outputs
        self.blocks = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = nn.chain(x, self.conv1, self.bn1, self.relu)
        return self.fc(self.pool(self.blocks(x)).flatten(1))
