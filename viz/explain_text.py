"""An explanation in words: as text, as LaTeX, as plain data."""

import math
import re

import numpy as np

from .graph.rules import rule_of, to_latex, with_numbers

_LETTER = r"(?<![A-Za-zα-ωΑ-Ω])([xyz])(?![A-Za-zα-ωΑ-Ω(])"


def subscript(number):
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def number(value):
    """One number as `-0.25` or a small array as `(1, 2)` or `[1 2; 3 4]`, with a real minus."""
    value = np.asarray(value)
    if value.dtype.kind == "U":  # of `data`, which spells NaN and Inf
        value = value.astype(float)
    if value.size == 1:
        return f"{float(value.reshape(())):.5g}".replace("-", "−")
    if value.ndim == 1:
        return "(" + ", ".join(number(v) for v in value) + ")"
    rows = value.reshape(-1, value.shape[-1])
    return "[" + "; ".join(" ".join(number(v) for v in row) for row in rows) + "]"


def jacobian(matrix):
    """A Jacobian: one number, `c·I` or `diag(…)` where it is diagonal, else the matrix, one row an output."""
    if matrix.size == 1:
        return number(matrix)
    if matrix.shape[0] == matrix.shape[1] and not np.any(matrix - np.diag(np.diag(matrix))):
        diagonal = np.diag(matrix)
        if (diagonal == diagonal[0]).all():
            return "I" if diagonal[0] == 1.0 else f"{number(diagonal[0])}·I"
        return f"diag{number(diagonal)}"
    return number(matrix)


def _in_brackets(text):
    return f"({text})" if text.startswith("−") else text


def _letters(explanation, index):
    """{x, y, z: the quantities they stand for} at an operation."""
    quantity = explanation.quantities[index]
    letters = {"z": quantity}
    for letter, operand in zip("xy", quantity.operands, strict=False):
        if operand is not None:
            letters[letter] = explanation.quantities[operand]
    return letters


def _with_names(formula, letters, missing=None):
    return re.sub(
        _LETTER, lambda match: letters[match[1]].name if match[1] in letters else missing or match[0], formula
    )


def derivative(explanation, local, over="/"):
    """`∂z₁/∂a`; of an operand that is read twice at once, with its place."""
    source, target = explanation.quantities[local.source].name, explanation.quantities[local.target].name
    again = sum(1 for o in explanation.locals if (o.source, o.target) == (local.source, local.target)) > 1
    place = f" (operand {local.slot + 1})" if again else ""
    return f"∂{target}{over}∂{source}{place}"


def _forward(explanation, index):
    """`a · b`, or `f(a, b)` for an operation that has no formula in letters."""
    letters = _letters(explanation, index)
    quantity = explanation.quantities[index]
    rule = rule_of(quantity.op)
    formula = rule.forward.split(" = ", 1)[-1]
    operands = [explanation.quantities[o].name for o in quantity.operands if o is not None]
    if rule.factors and operands:
        return _with_names(formula, letters, "…")  # a constant that nobody saw and nobody kept
    return f"{quantity.op}({', '.join(operands)})"


def _numbers(explanation, local):
    """(formula with names, the same with numbers, value) of a local derivative; None where there is no formula."""
    value = jacobian(local.jacobian)
    if local.factor is None:
        return None, None, value
    letters = _letters(explanation, local.target)
    named = _with_names(local.factor, letters)
    known = {letter: float(q.value.reshape(())) for letter, q in letters.items() if q.value is not None}
    filled = with_numbers(local.factor, **known)
    return named, filled, value


def _beside_grad(explanation, leaf):
    if leaf in explanation.differing:
        return "(but backward puts something else into .grad: an operation's backward is not its derivative)"
    return "(what backward puts into .grad)"


def as_text(explanation):
    lines = ["forward"]
    loss = explanation.quantities[explanation.loss]
    for index, quantity in enumerate(explanation.quantities[: explanation.loss + 1]):
        value = "" if quantity.value is None else f" = {number(quantity.value)}"
        formula = "" if quantity.op == "leaf" else f" = {_forward(explanation, index)}"
        lines.append(f"  {quantity.name}{formula}{value}")
    lines += ["", "local derivatives"]
    for index in range(explanation.loss, -1, -1):
        mine = [local for local in explanation.locals if local.target == index]
        if not mine:
            continue
        quantity = explanation.quantities[index]
        lines.append(f"  {quantity.name} ({quantity.op}): {quantity.words}")
        for local in mine:
            named, filled, value = _numbers(explanation, local)
            chain = [derivative(explanation, local)]
            for part in (named, filled, value):
                if part is not None and part != chain[-1]:
                    chain.append(part)
            lines.append("    " + " = ".join(chain))
    lines += ["", "backward: the product along each path, the sum over the paths"]
    for leaf, ways in explanation.paths.items():
        name = f"∂{loss.name}/∂{explanation.quantities[leaf].name}"
        indent = " " * (len(name) + 2)
        products = [" · ".join(derivative(explanation, explanation.locals[s]) for s in way.steps) for way in ways]
        factors = [
            " · ".join(_in_brackets(jacobian(explanation.locals[s].jacobian)) for s in way.steps) for way in ways
        ]  # fmt: skip
        results = [_in_brackets(number(way.product)) for way in ways]
        lines.append(f"  {name} = " + f"\n{indent} + ".join(products))
        lines.append(f"{indent} = " + f"\n{indent} + ".join(factors))
        if len(ways) > 1:
            lines.append(f"{indent} = " + " + ".join(results))
        result = number(explanation.gradients[explanation.quantities[leaf].name])
        lines.append(f"{indent} = {result}   {_beside_grad(explanation, leaf)}")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------ LaTeX


def _name_in_latex(name):
    if re.fullmatch(r"−?(\d.*|inf|nan)", name):  # a constant
        return _number_in_latex(float(name.replace("−", "-")))
    plain = re.fullmatch(r"([A-Za-zŷ])([₀-₉]*)", name)
    if plain:
        digits = plain[2].translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
        letter = r"\hat{y}" if plain[1] == "ŷ" else plain[1]
        return f"{letter}_{{{digits}}}" if digits else letter
    special = {"\\": r"\textbackslash{}", "_": r"\_", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
               "%": r"\%", "^": r"\^{}", "~": r"\~{}"}  # fmt: skip
    return r"\text{" + "".join(special.get(c, c) for c in name) + "}"


def _fraction(explanation, local):
    source, target = explanation.quantities[local.source].name, explanation.quantities[local.target].name
    return rf"\frac{{\partial {_name_in_latex(target)}}}{{\partial {_name_in_latex(source)}}}"


def _number_in_latex(value):
    value = np.asarray(value)
    if value.size == 1:
        text = f"{float(value.reshape(())):.5g}"
        if not np.isfinite(value).all():
            return text.replace("inf", r"\infty").replace("nan", r"\mathrm{NaN}")
        mantissa, _, exponent = text.partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else text
    rows = value.reshape(-1, value.shape[-1]) if value.ndim > 1 else value.reshape(1, -1)
    body = r" \\ ".join(" & ".join(_number_in_latex(v) for v in row) for row in rows)
    return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


def as_latex(explanation):
    lines = []
    loss = _name_in_latex(explanation.quantities[explanation.loss].name)
    for local in sorted(explanation.locals, key=lambda local: (-local.target, local.slot)):
        parts = [_number_in_latex(local.jacobian)]
        named, filled, _ = _numbers(explanation, local)
        if named is not None and not re.fullmatch(r"−?1", local.factor):
            letters = {k: _name_in_latex(q.name) for k, q in _letters(explanation, local.target).items()}
            parts.insert(0, _formula_in_latex(local.factor, letters))
        lines.append(_equation(_fraction(explanation, local), *parts))
    for leaf, ways in explanation.paths.items():
        quantity = explanation.quantities[leaf]
        steps = [[explanation.locals[s] for s in way.steps] for way in ways]
        products = [r" \cdot ".join(_fraction(explanation, one) for one in way) for way in steps]
        factors = [r" \cdot ".join(_factor_in_latex(one.jacobian) for one in way) for way in steps]
        lines.append(_equation(
            rf"\frac{{\partial {loss}}}{{\partial {_name_in_latex(quantity.name)}}}", " + ".join(products),
            " + ".join(factors), _number_in_latex(explanation.gradients[quantity.name]),
        ))  # fmt: skip
    return " \\\\\n".join(lines)


def _equation(left, *right):
    """`left &= a = b = c`, without what would be said twice."""
    parts = [part for before, part in zip((left, *right), right, strict=False) if part != before]
    return f"{left} &= {' = '.join(parts)}"


def _formula_in_latex(factor, letters):
    """A formula with names in the place of its letters; they are put in last, for they are LaTeX already."""
    marks = {"x": "①", "y": "②", "z": "③"}
    text = to_latex(re.sub(_LETTER, lambda match: marks[match[1]], factor))
    for letter, mark in marks.items():
        text = text.replace(mark, letters.get(letter, letter))
    return text


def _factor_in_latex(matrix):
    text = _number_in_latex(matrix)
    return f"({text})" if text.startswith("-") else text


# ------------------------------------------------------------------------------------ data


def as_data(explanation):
    def plain(array):
        return None if array is None else _spelled(np.asarray(array, dtype=float).tolist())

    derivatives = []
    for local in explanation.locals:
        named, filled, value = _numbers(explanation, local)
        derivatives.append({
            "source": local.source, "target": local.target, "slot": local.slot,
            "name": derivative(explanation, local), "formula": named, "numbers": filled, "text": value,
            "jacobian": plain(local.jacobian),
        })  # fmt: skip
    return {
        "quantities": [
            {"name": q.name, "op": q.op, "operands": list(q.operands), "value": plain(q.value),
             "gradient": plain(q.gradient), "words": q.words,
             "forward": "" if q.op in ("leaf", "data") else _forward(explanation, index)}
            for index, q in enumerate(explanation.quantities)
        ],
        "derivatives": derivatives,
        "paths": [
            {"variable": leaf, "steps": list(way.steps), "product": plain(way.product)}
            for leaf, ways in explanation.paths.items() for way in ways
        ],
        "gradients": {name: plain(value) for name, value in explanation.gradients.items()},
        "loss": explanation.loss,
        "error": _spelled(explanation.error),
    }  # fmt: skip


def _spelled(numbers):
    """Numbers, or lists of them, with "nan", "inf" and "-inf" for what JSON has no numbers for."""
    if isinstance(numbers, list):
        return [_spelled(number) for number in numbers]
    return numbers if math.isfinite(numbers) else str(float(numbers))
