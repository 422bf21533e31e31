"""Closed forms: by what factor the squared gradient changes per layer, towards the input, at initialization.

Every `*_ratio` is E[g²] one layer nearer to the input over E[g²], for weights W_ij ~ N(0, σ_w²/n_in) and wide
layers: 1 keeps the gradient, below 1 it vanishes, above 1 it explodes. RMS changes by the square root of it.
"""

import math

import numpy as np

from .mean_field import gaussian_mean, nonlinearity


def linear_ratio(sigma_w2):
    """σ_w², for a linear layer. (Saxe, McClelland, Ganguli 2013.)"""
    return float(sigma_w2)


def relu_ratio(sigma_w2):
    """σ_w²/2, forward and backward: half of the units are off. 1 for He's σ_w² = 2, ½ for Xavier's 1.

    (He et al. 2015, "Delving deep into rectifiers".)
    """
    return sigma_w2 / 2.0


def default_init_ratio(activation="relu"):
    """PyTorch's default W ~ U(-1/√n, 1/√n) has n·Var = 1/3: 1/6 with ReLU, 1/3 linear, and for tanh at small q."""
    if activation not in ("relu", "linear", "tanh"):
        raise ValueError(f'activation must be "relu", "linear" or "tanh", got {activation!r}')
    return 1.0 / 6.0 if activation == "relu" else 1.0 / 3.0


def batch_norm_relu_ratio(batch_size=None):
    """π/(π-1) = 1.467 for linear → batch norm → ReLU, whatever σ_w: batch norm makes a plain net explode.

    It divides by the standard deviation of features whose mean it removes: E relu² = ½, Var relu = ½ - 1/2π.
    For a finite batch of B samples times (B-2)/(B-3), which holds to about 2 % for B ≥ 8 (empirical).
    (Yang et al. 2019, "A mean field theory of batch normalization".)
    """
    return math.pi / (math.pi - 1.0) * batch_norm_linear_ratio(batch_size)


def batch_norm_linear_ratio(batch_size=None):
    """(B-2)/(B-3) for linear → batch norm without activation, 1 for a large batch. Needs B ≥ 4."""
    if batch_size is None:
        return 1.0
    if batch_size < 4:
        raise ValueError(f"the finite-batch factor (B-2)/(B-3) needs a batch of at least 4 samples, got {batch_size}")
    return (batch_size - 2.0) / (batch_size - 3.0)


def residual_ratio(branch_ratio):
    """1 + r for a block x + F(x) whose branch alone has ratio r; 2 for F = W relu(x) with He's weights.

    The two contributions at the fork are uncorrelated, so that their squares add. (Yang & Schoenholz 2017.)
    """
    return 1.0 + branch_ratio


def scaled_residual_ratio(alpha, branch_ratio=1.0):
    """1 + α² r for a block x + α F(x). With α = 1/√L the whole net of L blocks grows by e only."""
    return 1.0 + alpha * alpha * branch_ratio


def path_length_law(blocks, branch_ratio):
    """Share of the gradient's energy that went through k = 0 … `blocks` branches, an array: Binomial(L, r/(1 + r)).

    r is the branch's own ratio of squared gradients, a² σ_w²/2 for a block h + a W relu(h): Π (1 + r) = Σ C(L, k) r^k,
    for the paths of different length are uncorrelated. Veit's count of paths is r = 1. (Veit et al. 2016.)
    """
    if blocks < 1 or not branch_ratio >= 0.0:
        raise ValueError(f"a path law needs at least one block and a ratio ≥ 0, got {blocks} and {branch_ratio}")
    if branch_ratio == 0.0:
        return np.eye(blocks + 1)[0]
    logs = [
        math.lgamma(blocks + 1) - math.lgamma(k + 1) - math.lgamma(blocks - k + 1) + k * math.log(branch_ratio)
        for k in range(blocks + 1)
    ]  # fmt: skip
    return np.exp(np.array(logs) - blocks * math.log1p(branch_ratio))


def gain(activation):
    """(σ_w² that keeps E[z²], ratio χ of the squared gradient there) for unit pre-activations, by quadrature.

    activation: "relu", "linear", "tanh" or "sigmoid". σ_w² = 1/E[φ(z)²], χ = σ_w² E[φ'(z)²], z ~ N(0, 1).
    """
    if activation == "relu":
        return 2.0, 1.0
    if activation == "linear":
        return 1.0, 1.0
    phi, derivative = nonlinearity(activation)
    sigma_w2 = 1.0 / gaussian_mean(lambda z: phi(z) ** 2)
    return sigma_w2, sigma_w2 * gaussian_mean(lambda z: derivative(z) ** 2)


def measured_ratio(gradient_rms):
    """The ratio of the squared gradient per layer, towards the input, of a measured profile.

    gradient_rms: one RMS per layer, from the input side to the loss side. The slope of a least-squares line through
    ln RMS², as a factor. Layers without a finite, positive value are left out. nan for fewer than two.
    """
    points = [(i, 2.0 * math.log(rms)) for i, rms in enumerate(gradient_rms) if rms and 0.0 < rms < math.inf]
    if len(points) < 2:
        return math.nan
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return math.exp(-slope)
