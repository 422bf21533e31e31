"""Dropout layers: they switch units off at random while training, and are the identity in eval mode."""

from .. import ops
from ..ops.dropout import check_probability
from .module import Module


class _Dropout(Module):
    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        check_probability(p, type(self).__name__)
        self.p, self.inplace = p, inplace

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """y = x · m / (1 - p) in training, m = 0 with probability p, else 1, anew for each element; y = x in eval mode.

    The division keeps the mean: E[y] = x. (Srivastava et al. 2014.)
    """

    def forward(self, x):
        return ops.dropout(x, self.p, self.training)


class Dropout1d(_Dropout):
    """Dropout of whole channels of x (N, C, L) or (C, L)."""

    def forward(self, x):
        return ops.dropout1d(x, self.p, self.training)


class Dropout2d(_Dropout):
    """Dropout of whole channels of images x (N, C, H, W): neighbouring pixels say nearly the same, so dropping single
    ones would drop little (Tompson et al. 2015)."""

    def forward(self, x):
        return ops.dropout2d(x, self.p, self.training)


class Dropout3d(_Dropout):
    """Dropout of whole channels of x (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, x):
        return ops.dropout3d(x, self.p, self.training)


class AlphaDropout(_Dropout):
    """Dropout after SELU: what is dropped becomes -λα, then all is scaled so that mean 0 and variance 1 stay.

    (Klambauer et al. 2017.)
    """

    def forward(self, x):
        return ops.alpha_dropout(x, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """AlphaDropout of whole channels of x (N, C, …)."""

    def forward(self, x):
        return ops.feature_alpha_dropout(x, self.p, self.training)
