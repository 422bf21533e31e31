"""Floor 5: the nets of the course."""

from .lenet import LeNet5
from .mlp import DeepMLP
from .resnet import CifarResNet

__all__ = ["CifarResNet", "DeepMLP", "LeNet5"]
