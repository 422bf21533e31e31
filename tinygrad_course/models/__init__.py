"""Floor 5: the nets of the course."""

from .cifar_resnet import CifarResNet
from .lenet import LeNet5
from .mlp import DeepMLP
from .mobilenet import MobileNetV2, mobilenet_v2
from .resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152
from .vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

__all__ = [
    "CifarResNet", "DeepMLP", "LeNet5", "MobileNetV2", "ResNet", "VGG", "mobilenet_v2", "resnet101", "resnet152",
    "resnet18", "resnet34", "resnet50", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19",
    "vgg19_bn",
]  # fmt: skip
