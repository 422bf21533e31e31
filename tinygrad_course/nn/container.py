"""Modules made of modules: in a row, in a list, in a dict. (Of parameters: parameter_container.py.)"""

import itertools
import operator
from collections.abc import Iterable, Mapping

from .chain import chain
from .module import Module, _parts_changed, indented


class _Numbered(Module):
    """What Sequential and ModuleList share: parts in an order, that a number or a slice finds."""

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(list(self._modules.values()))

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def _name_at(self, index):
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for the {len(self)} modules of this {self._get_name()}")
        return list(self._modules)[index]

    def __setitem__(self, index, module):
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index):
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name_at(index)]
        self._set_all([module for name, module in self._modules.items() if name not in names])

    def _set_all(self, modules):
        self._modules = {str(i): module for i, module in enumerate(modules)}
        _parts_changed()

    def append(self, module):
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules):
        """Add several modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"{self._get_name()}.extend needs an iterable of modules, not {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index, module):
        """Put a module before the one at `index`; the parts are numbered anew."""
        if not isinstance(module, Module):
            raise TypeError(f"{self._get_name()}.insert needs a Module, not {type(module).__name__}")
        modules = list(self)
        modules.insert(index, module)
        self._set_all(modules)
        return self

    def pop(self, key=-1):
        """Take the module at `key` out and return it."""
        module = self[key]
        del self[key]
        return module


class Sequential(_Numbered):
    """Run modules one after the other: `Sequential(Linear(2, 3), ReLU())`, or with names from a dict."""

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = modules[0].items()
        else:
            named = ((str(i), module) for i, module in enumerate(modules))
        for name, module in named:
            self.add_module(name, module)

    def forward(self, x):
        return chain(x, *self._modules.values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            own_init = type(self).__init__ is not Sequential.__init__  # of other arguments, so that modules may not do
            return (Sequential if own_init else type(self))(dict(list(self._modules.items())[index]))
        return self._modules[self._name_at(index)]

    def insert(self, index, module):
        """Put a module before the one at `index`; the parts are numbered anew."""
        if not -len(self) <= index <= len(self):
            raise IndexError(f"insert: index {index} is out of range for {len(self)} modules")
        return super().insert(index, module)

    def __add__(self, other):
        return Sequential(*self, *self._expect(other))

    def __iadd__(self, other):
        return self.extend(self._expect(other))

    def _expect(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"only a Sequential can be added to a Sequential, not {type(other).__name__}")
        return other

    def __mul__(self, times):
        """The same modules `times` times over, sharing their parameters."""
        if not isinstance(times, int):
            raise TypeError(f"a Sequential can be multiplied by an int, not {type(times).__name__}")
        if times <= 0:
            raise ValueError(f"a Sequential can be repeated at least once, not {times} times")
        return Sequential(*itertools.chain.from_iterable([list(self)] * times))

    __rmul__ = __mul__

    def __imul__(self, times):
        self._set_all(self * times)
        return self


class ModuleList(_Numbered):
    """A list of modules whose parameters are found. It has no forward of its own."""

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._name_at(index)]

    def insert(self, index, module):
        """Put a module before the one at `index`."""
        super().insert(index, module)

    def __add__(self, other):
        return ModuleList(itertools.chain(self, other))

    def __iadd__(self, other):
        return self.extend(other)

    def __repr__(self):
        """Equal neighbours on one line: `(0-3): 4 x Linear(…)`."""
        lines, start = [], 0
        for text, group in itertools.groupby(map(repr, self)):
            count = len(list(group))
            place = f"({start}): " if count == 1 else f"({start}-{start + count - 1}): {count} x "
            lines.append(indented(place + text))
            start += count
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{self._get_name()}()"


class ModuleDict(Module):
    """A dict of modules whose parameters are found, in the order of insertion. It has no forward of its own."""

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]
        _parts_changed()

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def keys(self):
        return self._modules.keys()

    def items(self):
        return self._modules.items()

    def values(self):
        return self._modules.values()

    def clear(self):
        """Remove all modules."""
        self._modules.clear()
        _parts_changed()

    def pop(self, key):
        """Take the module under `key` out and return it."""
        module = self[key]
        del self[key]
        return module

    def update(self, modules):
        """Add modules from a mapping or from (name, module) pairs; those of the same names are replaced."""
        for key, module in pairs_of(modules, "ModuleDict"):
            self[key] = module


class Residual(Module):
    """y = x + F(x), or shortcut(x) + F(x): the skip connection (He et al. 2016).

    ∂L/∂x = ∂L/∂y + F'(x)ᵀ ∂L/∂y: whatever the branch does to the gradient, the first term reaches x unchanged.
    """

    def __init__(self, branch, shortcut=None):
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x):
        return self.branch(x) + (x if self.shortcut is None else self.shortcut(x))


def pairs_of(items, name):
    """The (key, value) pairs of a mapping, or of an iterable of pairs."""
    if not isinstance(items, Iterable):
        raise TypeError(f"{name}.update needs a mapping or (key, value) pairs, not {type(items).__name__}")
    if isinstance(items, Mapping) or hasattr(items, "items"):
        return list(items.items())
    pairs = list(items)
    for position, pair in enumerate(pairs):
        if not isinstance(pair, Iterable):
            raise TypeError(f"{name}.update: element {position} must be a pair, not {type(pair).__name__}")
        if len(pair) != 2:
            raise ValueError(f"{name}.update: element {position} has length {len(pair)}; 2 is required")
    return pairs
