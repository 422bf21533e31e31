"""The local rule of each operation: what its backward does, in words, as a formula, and as LaTeX.

    rule_of("tanh").words            'scales by the slope of tanh: close to 1 near 0, almost nothing where …'
    rule_of("tanh").formula_text     '∂L/∂x = ∂L/∂z · (1 − z²)'
    rule_of("mul").factors           ('y', 'x')

z is the output, x and y are the operands; of layers Y is the output, X the input, W the weight. An operation that
is not in the table goes by its docstring, which states its formula.
"""

import math
import re
from typing import NamedTuple

from tinygrad_course.function import Function


class Rule(NamedTuple):
    """What backward does at one operation.

    words: one sentence that begins with a verb; forward: what it computes; formula_text, formula_latex: what it
    hands back; factors: the local derivative for each operand of an elementwise operation, in x, y and z, else ().
    """

    words: str
    forward: str
    formula_text: str
    factors: tuple = ()

    @property
    def formula_latex(self):
        return to_latex(self.formula_text)


def _local(forward, words, *factors):
    """An elementwise operation: each operand gets ∂L/∂z times its factor."""
    return Rule(words, forward, ", ".join(_product(o, f) for o, f in zip("xy", factors, strict=False)), factors)


def _product(operand, factor):
    if factor in ("1", "−1"):
        return f"∂L/∂{operand} = {factor.removesuffix('1')}∂L/∂z"
    simple = re.fullmatch(r"[\w.²]+|\w*\([^()]*\)|\[[^]]*\]", factor)
    return f"∂L/∂{operand} = ∂L/∂z · {factor if simple else f'({factor})'}"


_GATE = "opens where the input is positive and shuts elsewhere: the gradient passes whole or not at all"
_SLOPE = "scales by the slope of the curve at the input"
_PLACES = "carries each number back to the place it came from; nothing is scaled"
_WINNER = "routes the gradient to the winner; the others get none"
_STAIRS = "stops the gradient: a staircase has slope 0"
_PROJECT = "divides by the spread and takes out the mean and the part along the output, for these are fixed"
_SPREAD = "spreads the gradient evenly: each of the n terms gets 1/n of it"
_CONV = "sends the gradient back through the flipped kernel; the weight gets its correlation with the input"
_NORMED = "∂L/∂x = γ/σ · (∂L/∂y − mean(∂L/∂y) − x̂ · mean(∂L/∂y · x̂)), ∂L/∂γ = Σ ∂L/∂y · x̂, ∂L/∂β = Σ ∂L/∂y"

_RULES = {
    # arithmetic: the three gates of the lectures
    "add": _local("z = x + y", "distributes: each summand gets the whole gradient, unchanged", "1", "1"),
    "sub": _local("z = x − y", "distributes: x gets the gradient as it is, y with its sign turned", "1", "−1"),
    "mul": _local("z = x · y", "swaps: each factor gets the gradient times the other factor", "y", "x"),
    "div": _local("z = x / y", "scales by 1/y; the denominator gets −z/y of the gradient", "1/y", "−z/y"),
    "neg": _local("z = −x", "turns the sign", "−1"),
    "pow": _local("z = x^y", "brings the exponent down in front", "y · x^(y − 1)", "z · ln(x)"),
    "exp": _local("z = e^x", "scales by its own output, for e^x is its own slope", "z"),
    "log": _local("z = ln x", "scales by 1/x: much where x is small", "1/x"),
    "sqrt": _local("z = √x", "scales by 1/(2z): much where x is small", "1/(2z)"),
    "square": _local("z = x²", "scales by twice the input", "2x"),
    "abs": _local("z = |x|", "passes the gradient with the sign of x", "sign(x)"),
    "reciprocal": _local("z = 1/x", _SLOPE, "−z²"),
    "rsqrt": _local("z = 1/√x", _SLOPE, "−z³/2"),
    "sin": _local("z = sin x", _SLOPE, "cos(x)"),
    "cos": _local("z = cos x", _SLOPE, "−sin(x)"),
    "erf": _local("z = erf x", _SLOPE, "2/√π · e^(−x²)"),
    # activation functions
    "relu": _local("z = max(x, 0)", _GATE, "[x > 0]"),
    "relu6": _local("z = min(max(x, 0), 6)", "opens between 0 and 6 and shuts elsewhere", "[0 < x < 6]"),
    "leaky_relu": _local(
        "z = x where x > 0, else a · x", "passes the gradient where the input is positive, and a of it elsewhere",
        "(1 if x > 0 else a)",
    ),
    "tanh": _local(
        "z = tanh x", "scales by the slope of tanh: close to 1 near 0, almost nothing where the output is near ±1",
        "1 − z²",
    ),
    "sigmoid": _local(
        "z = 1/(1 + e^(−x))", "scales by the slope of the sigmoid: 1/4 at most, almost nothing where it saturates",
        "z · (1 − z)",
    ),
    "softplus": _local("z = ln(1 + e^x)", "scales by the sigmoid of the input", "σ(x)"),
    "logsigmoid": _local("z = ln σ(x)", "scales by the sigmoid of −x", "σ(−x)"),
    "gelu": _local("z = x · Φ(x)", "opens softly: by the slope of x Φ(x)", "Φ(x) + x · φ(x)"),
    "silu": _local("z = x · σ(x)", "opens softly: by the slope of x σ(x)", "σ(x) · (1 + x · (1 − σ(x)))"),
    "elu": _local("z = x where x > 0, else α (e^x − 1)", "passes the gradient where the input is positive, and scales "
                  "it by α e^x elsewhere", "(1 if x > 0 else z + α)"),
    "softmax": Rule(
        "takes out the mean gradient, weighed by the probabilities: only differences matter", "zᵢ = e^xᵢ / Σⱼ e^xⱼ",
        "∂L/∂xᵢ = zᵢ · (∂L/∂zᵢ − Σⱼ ∂L/∂zⱼ · zⱼ)",
    ),
    "log_softmax": Rule(
        "takes out the probabilities' share of the summed gradient", "zᵢ = xᵢ − ln Σⱼ e^xⱼ",
        "∂L/∂xᵢ = ∂L/∂zᵢ − e^zᵢ · Σⱼ ∂L/∂zⱼ",
    ),
    "dropout": _local("z = x · m", "passes the gradient, 1/(1 − p) times as large, where the unit was kept; the others "
                      "get none", "m"),
    # routers
    "maximum": _local("z = max(x, y)", "routes the gradient to the larger operand; equal ones get half of it each",
                      "[x > y]", "[y > x]"),
    "minimum": _local("z = min(x, y)", "routes the gradient to the smaller operand; equal ones get half of it each",
                      "[x < y]", "[y < x]"),
    "where": Rule("routes each place's gradient to the operand that was chosen there", "z = x where c, else y",
                  "∂L/∂x = ∂L/∂z · [c], ∂L/∂y = ∂L/∂z · [not c]"),
    "clamp": Rule("passes the gradient between the bounds and stops it beyond them", "z = min(max(x, a), b)",
                  "∂L/∂x = ∂L/∂z · [a ≤ x ≤ b]"),
    "max": Rule(_WINNER, "z = maxᵢ xᵢ", "∂L/∂xᵢ = ∂L/∂z · [i = argmax]"),
    "min": Rule(_WINNER, "z = minᵢ xᵢ", "∂L/∂xᵢ = ∂L/∂z · [i = argmin]"),
    "amax": Rule(f"{_WINNER}, and equal ones share", "z = maxᵢ xᵢ", "∂L/∂xᵢ = ∂L/∂z · [xᵢ = z] / Σⱼ [xⱼ = z]"),
    "amin": Rule(f"{_WINNER}, and equal ones share", "z = minᵢ xᵢ", "∂L/∂xᵢ = ∂L/∂z · [xᵢ = z] / Σⱼ [xⱼ = z]"),
    "max_pool2d": Rule(f"{_WINNER} of its window", "yᵢ = max of x over window i", "∂L/∂xⱼ = Σᵢ ∂L/∂yᵢ · [j wins i]"),
    # sums and means
    "sum": Rule("distributes: every summand gets the gradient of the sum", "z = Σᵢ xᵢ", "∂L/∂xᵢ = ∂L/∂z"),
    "mean": Rule(_SPREAD, "z = (1/n) Σᵢ xᵢ", "∂L/∂xᵢ = ∂L/∂z · 1/n"),
    "avg_pool2d": Rule(f"{_SPREAD}", "yᵢ = mean of x over window i", "∂L/∂xⱼ = Σᵢ ∂L/∂yᵢ · 1/n"),
    "adaptive_avg_pool": Rule(f"{_SPREAD}", "yᵢ = mean of x over window i", "∂L/∂xⱼ = Σᵢ ∂L/∂yᵢ · 1/n"),
    "expand": Rule("adds up what the copies got", "zᵢ = x", "∂L/∂x = Σᵢ ∂L/∂zᵢ"),
    "logsumexp": Rule("shares the gradient out by the softmax", "z = ln Σᵢ e^xᵢ", "∂L/∂xᵢ = ∂L/∂z · e^(xᵢ − z)"),
    # linear maps
    "linear": Rule(
        "sends the gradient back through the same weights, transposed", "Y = X Wᵀ + b",
        "∂L/∂X = ∂L/∂Y · W, ∂L/∂W = (∂L/∂Y)ᵀ · X, ∂L/∂b = Σ ∂L/∂Y",
    ),
    "matmul": Rule(
        "swaps, as multiplication does: each factor gets the gradient times the other one, transposed", "Z = X · Y",
        "∂L/∂X = ∂L/∂Z · Yᵀ, ∂L/∂Y = Xᵀ · ∂L/∂Z",
    ),
    "conv2d": Rule(_CONV, "Y = X ⋆ W + b", "∂L/∂X = ∂L/∂Y ∗ W, ∂L/∂W = X ⋆ ∂L/∂Y, ∂L/∂b = Σ ∂L/∂Y"),
    "conv_transpose2d": Rule(
        "sends the gradient back by an ordinary convolution with the same kernel", "Y = X ∗ W + b",
        "∂L/∂X = ∂L/∂Y ⋆ W, ∂L/∂W = ∂L/∂Y ⋆ X, ∂L/∂b = Σ ∂L/∂Y",
    ),
    "embedding": Rule("adds each place's gradient to the row it was read from", "zₖ = W[iₖ]",
                      "∂L/∂W[i] = Σ ∂L/∂zₖ over iₖ = i"),
    # normalization
    "batch_norm": Rule(_PROJECT, "y = γ · x̂ + β, x̂ = (x − μ)/σ over the batch", _NORMED),
    "standardize": Rule(_PROJECT, "z = (x − μ)/σ", "∂L/∂x = 1/σ · (∂L/∂z − mean(∂L/∂z) − z · mean(∂L/∂z · z))"),
    "rms_norm": Rule("divides by the RMS and takes out the part along the output, for its length is fixed",
                     "z = x / RMS(x)", "∂L/∂x = 1/RMS(x) · (∂L/∂z − z · mean(∂L/∂z · z))"),
    # losses
    "cross_entropy": Rule(
        "starts the way back: predicted probability minus the true one", "L = −ln softmax(x)ₜ, mean over N samples",
        "∂L/∂xᵢ = (softmax(x)ᵢ − [i = t]) / N",
    ),
    "nll_loss": Rule("starts the way back at the true class alone", "L = −xₜ, mean over N samples",
                     "∂L/∂xᵢ = −[i = t] / N"),
    "mse_loss": Rule("starts the way back: twice the error, by the number of errors", "L = (1/n) Σ (x − y)²",
                     "∂L/∂x = 2/n · (x − y)"),
    "l1_loss": Rule("starts the way back: the sign of each error", "L = (1/n) Σ |x − y|", "∂L/∂x = 1/n · sign(x − y)"),
    "binary_cross_entropy_with_logits": Rule("starts the way back: predicted probability minus the true one",
        "L = −y ln σ(x) − (1 − y) ln(1 − σ(x)), mean of n", "∂L/∂x = 1/n · (σ(x) − y)"),
    "binary_cross_entropy": Rule("starts the way back: the error by the variance of the prediction",
        "L = −y ln x − (1 − y) ln(1 − x), mean of n", "∂L/∂x = 1/n · (x − y)/(x · (1 − x))"),
    # shapes: nothing but places
    "reshape": Rule(_PLACES, "z = x in another shape", "∂L/∂x = ∂L/∂z in the shape of x"),
    "permute": Rule(_PLACES, "z = x with its axes in another order", "∂L/∂x = ∂L/∂z with the order undone"),
    "cat": Rule("cuts the gradient up: each operand gets its own piece", "z = (x₁, x₂, …)",
                "∂L/∂xᵢ = piece i of ∂L/∂z"),
    "get_item": Rule("puts the gradient back where the numbers were read; the other places get 0", "z = x[i]",
                     "∂L/∂x[i] = ∂L/∂z, 0 elsewhere"),
    "pad": Rule("cuts the frame off again", "z = x in a frame", "∂L/∂x = ∂L/∂z without the frame"),
    "cast": Rule(_PLACES, "z = x in another dtype", "∂L/∂x = ∂L/∂z in the dtype of x"),
    "clone": _local("z = x", "passes the gradient as it is", "1"),
    **{name: _local(f"z = {name}(x)", _STAIRS, "0") for name in ("floor", "ceil", "round", "sign", "trunc")},
    # what is no operation
    "leaf": Rule("keeps what arrives: the sum over all uses is its .grad", "a variable of yours",
                 "x.grad = Σ contributions"),
    "input": Rule("wants no gradient: it is data", "data", ""),
}  # fmt: skip

_GENERAL = Rule("multiplies by its local derivative: the chain rule", "z = f(x)", "∂L/∂x = Jᵀ · ∂L/∂z, J = ∂z/∂x")


def rule_of(name):
    """The `Rule` of the operation of this name ("add", "conv2d", …). Never fails: the chain rule always holds.

    A name such as "conv2d · batch_norm · relu" is a chain of operations, drawn as one node.
    """
    rule = _RULES.get(name)
    if rule is None and " · " in name:
        rule = Rule("applies the chain rule to what it holds, from the last operation to the first", name, _GENERAL[2])
    return rule or _from_docstring(name) or _GENERAL


def _from_docstring(name):
    """`z = …;  ∂z/∂x = …`, the first sentence of an operation's docstring, as a rule."""
    stack = [Function]
    while stack:
        cls = stack.pop()
        stack += cls.__subclasses__()
        text = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
        if cls.name == name and " = " in text and "; ∂" in text:
            forward, backward = text.replace("-", "−").rstrip(".").split("; ", 1)
            slope = re.fullmatch(r"∂[yz]/∂x = ([^,;]+)", backward)
            if slope and not _WORD.search(slope[1]):
                letter = forward[0]
                renamed = [re.sub(rf"\b{letter}\b", "z", part) for part in (forward, slope[1])]
                return _local(renamed[0], _SLOPE, renamed[1])
            return Rule(_GENERAL.words, forward, backward)
    return None


def factor_value(factor, **values):
    """The number that a factor stands for: `factor_value("1 − z²", z=0.5)` is 0.75; None where it cannot be told."""
    for symbol, spelled in _NOTATION.items():
        factor = factor.replace(symbol, spelled)
    try:  # the factors are this library's own text, and see no name but these
        return float(eval(factor, {"__builtins__": {}, **_NAMES}, values))
    except (ArithmeticError, NameError, SyntaxError, TypeError, ValueError):
        return None


_NOTATION = {"²": "**2", "³": "**3", "−": "-", "·": "*", "^": "**", "√": "sqrt", "π": "(pi)", "e**": "exp", "[": "(",
             "]": ")", "2x": "2*x", "2z": "2*z", "Φ": "Phi", "φ": "phi", "σ": "sigma"}  # fmt: skip
_NAMES = {
    **{name: getattr(math, name) for name in ("sqrt", "pi", "exp", "cos", "sin", "cosh", "sinh", "tanh")},
    "ln": math.log, "sign": lambda x: (x > 0) - (x < 0), "sigma": lambda x: 1.0 / (1.0 + math.exp(-x)),
    "Phi": lambda x: (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0,
    "phi": lambda x: math.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi),
}  # fmt: skip


def with_numbers(factor, **values):
    """A factor with numbers in the place of its letters: `with_numbers("1 − z²", z=0.5)` is "1 − 0.5²"."""

    def put(match):
        value = values.get(match[1])
        if value is None:
            return match[0]
        text = f"{value:.4g}".replace("-", "−")
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
        apart = before.isdigit() or (value < 0 and (before in tuple("−/·") or after in tuple("²³^")))
        return f"({text})" if apart else text

    return re.sub(r"(?<![A-Za-zα-ωΑ-Ω])([xyz])(?![A-Za-zα-ωΑ-Ω(])", put, factor)


# ------------------------------------------------------------------------------------ LaTeX

_SYMBOLS = {
    "∂": r"\partial ", "·": r"\cdot ", "−": "-", "Σ": r"\sum ", "∗": "*", "⋆": r"\star ", "γ": r"\gamma ",
    "β": r"\beta ", "σ": r"\sigma ", "μ": r"\mu ", "Φ": r"\Phi ", "φ": r"\varphi ", "α": r"\alpha ", "π": r"\pi ",
    "λ": r"\lambda ", "δ": r"\delta ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "…": r"\dots ", "x̂": r"\hat{x}",
    "x̄": r"\bar{x}", "ℓ": r"\ell ", "ʸ": "^y", "∫": r"\int ", "ˣ": "^x", "₃": "_3",
    "²": "^2", "³": "^3", "ᵀ": r"^{\top}", "ᵢ": "_i", "ⱼ": "_j", "ₖ": "_k", "ₜ": "_t", "₀": "_0", "₁": "_1",
    "₂": "_2", "Π": r"\prod ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "∞": r"\infty ",
    "×": r"\times ", "±": r"\pm ",
}  # fmt: skip
_FUNCTIONS = ("max", "min", "ln", "sin", "cos", "tanh", "exp")
_WORD = re.compile(r" ?[A-Za-z]{2,}(?:_[A-Za-z]+)*(?: (?:[a-z]{2,}|i\b))*(?: |\b)")
_FRACTION = re.compile(r"∂([a-zA-Zℓ](?:[ᵢⱼₖₜ]|_\w)?)/∂([^\W\d_](?:[ᵢⱼₖₜ]|_\w)?)")


def to_latex(text):
    """A formula of this file as LaTeX (math mode): fractions of derivatives, roots, Greek letters, words as \\text."""
    text = _FRACTION.sub(r"\\frac{∂\1}{∂\2}", text)
    text = re.sub(r"√\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"√(\w)", r"\\sqrt{\1}", text)
    text = re.sub(r"\^\(([^()]*)\)", r"^{\1}", text)
    text = re.sub(r"\^(\w[ᵢⱼₖₜ])", r"^{\1}", text)
    parts = re.split(r"(\\[a-z]+)", text)
    parts[::2] = [_WORD.sub(_word_in_latex, part) for part in parts[::2]]
    text = "".join(parts)
    for symbol, command in _SYMBOLS.items():
        text = text.replace(symbol, command)
    return re.sub(r"(\\[a-z]+) +(?=[}_^)])| +(?= )", r"\1", text.replace(", ", r",\quad ")).strip()


def _word_in_latex(match):
    word = match[0].strip()
    return match[0].replace(word, f"\\{word} ") if word in _FUNCTIONS else f"\\text{{{match[0]}}}".replace("_", r"\_")
