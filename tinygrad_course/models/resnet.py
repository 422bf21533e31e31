"""ResNet for ImageNet (He et al. 2016): 18, 34, 50, 101 and 152 layers, by torchvision's names.

The 6n + 2 layers deep nets of the same paper for small images are in cifar_resnet.py.
"""

from .. import nn


class BasicBlock(nn.Module):
    """relu(x + bn(conv3×3(relu(bn(conv3×3 x)))))."""

    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        out = nn.chain(x, self.conv1, self.bn1, self.relu, self.conv2, self.bn2)
        return self.relu(out + skip)


class Bottleneck(nn.Module):
    """relu(x + bn(conv1×1(relu(bn(conv3×3(relu(bn(conv1×1 x)))))))): the 3×3 filters work on a quarter of the channels.

    The stride is the 3×3 convolution's ("v1.5"), as in torchvision; the paper has it in the first 1×1.
    """

    expansion = 4

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        out = nn.chain(x, self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu, self.conv3, self.bn3)
        return self.relu(out + skip)


class ResNet(nn.Module):
    """x (N, 3, H, W), usually 224×224 -> logits (N, num_classes): a 7×7 stem and four stages of `layers` blocks.

    Where a stage changes the shape, the skip is a 1×1 convolution with batch norm. `zero_init_residual` starts each
    block as the identity: the γ of its last batch norm is 0.
    """

    def __init__(self, block, layers, num_classes=1000, zero_init_residual=False):
        super().__init__()
        self.inplanes = 64
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._stage(block, 64, layers[0], 1)
        self.layer2 = self._stage(block, 128, layers[1], 2)
        self.layer3 = self._stage(block, 256, layers[2], 2)
        self.layer4 = self._stage(block, 512, layers[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, BasicBlock | Bottleneck):
                nn.init.zeros_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight)

    def _stage(self, block, planes, count, stride):
        outputs, downsample = planes * block.expansion, None
        if stride != 1 or self.inplanes != outputs:
            projection = nn.Conv2d(self.inplanes, outputs, 1, stride, bias=False)
            downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        blocks = [block(self.inplanes, planes, stride, downsample)]
        self.inplanes = outputs
        return nn.Sequential(*blocks, *[block(outputs, planes) for _ in range(1, count)])

    def forward(self, x):
        x = nn.chain(x, self.conv1, self.bn1, self.relu, self.maxpool)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(**options):
    """ResNet-18: 11,689,512 parameters, 1.81 billion multiply-adds."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **options)


def resnet34(**options):
    """ResNet-34: 21,797,672 parameters, 3.66 billion multiply-adds."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **options)


def resnet50(**options):
    """ResNet-50: 25,557,032 parameters, 4.09 billion multiply-adds."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **options)


def resnet101(**options):
    """ResNet-101: 44,549,160 parameters, 7.80 billion multiply-adds."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **options)


def resnet152(**options):
    """ResNet-152: 60,192,808 parameters, 11.51 billion multiply-adds."""
    return ResNet(Bottleneck, [3, 8, 36, 3], **options)
