"""Parameters in a list or in a dict."""

import operator
from collections.abc import Iterable

from ..base import TensorBase
from .container import pairs_of
from .module import Module
from .parameter import Parameter


class _Holder(Module):
    """Keeps values as attributes; tensors become parameters and are found as such, other values are just kept."""

    def _keep(self, name, value):
        if isinstance(value, TensorBase) and not isinstance(value, Parameter):
            value = Parameter(value)
        if name in self._parameters and not isinstance(value, Parameter):
            delattr(self, name)
        if isinstance(value, Parameter):
            self._forget(name, but=self._parameters)
            self._parameters[name] = value
        else:
            setattr(self, name, value)

    def _lines(self, items):
        for name, value in items:
            if isinstance(value, TensorBase):
                size = "x".join(map(str, value.shape))
                yield f"  ({name}): Parameter containing: [{value.dtype} of size {size}]"
            else:
                yield f"  ({name}): Object of type: {type(value).__name__}"

    def extra_repr(self):
        return "\n".join(self._lines(self.items() if hasattr(self, "items") else enumerate(self)))

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def __call__(self, *inputs, **keywords):
        raise RuntimeError(f"{self._get_name()} should not be called.")


class ParameterList(_Holder):
    """A list of parameters that are found; tensors put in become parameters. It has no forward."""

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def _name_at(self, index):
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for the {len(self)} values of this {self._get_name()}")
        return str(index % len(self))

    def __len__(self):
        return self._size

    def __iter__(self):
        return iter([self[i] for i in range(len(self))])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)([self[i] for i in range(*index.indices(len(self)))])
        return getattr(self, self._name_at(index))

    def __setitem__(self, index, value):
        self._keep(self._name_at(index), value)

    def append(self, value):
        """Add a value at the end."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values):
        """Add several values at the end."""
        if not isinstance(values, Iterable) or isinstance(values, TensorBase):
            raise TypeError(f"ParameterList.extend needs an iterable of tensors, not {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values):
        return self.extend(values)


class ParameterDict(_Holder):
    """A dict of parameters that are found; tensors put in become parameters. It has no forward."""

    def __init__(self, parameters=None):
        super().__init__()
        self._keys = {}  # a dict for its order, without values
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key):
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key, value):
        if not isinstance(key, str):
            raise TypeError(f"a key of a ParameterDict must be a string, not {type(key).__name__}")
        if key not in self._keys and hasattr(type(self), key):  # 'keys' and the like: keep the method
            raise KeyError(f"attribute {key!r} already exists in {self._get_name()}")
        self._keys[key] = None
        self._keep(key, value)

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, key)

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(list(self._keys))

    def __contains__(self, key):
        return key in self._keys

    def keys(self):
        return self._keys.keys()

    def values(self):
        return [self[key] for key in self._keys]

    def items(self):
        return [(key, self[key]) for key in self._keys]

    def get(self, key, default=None):
        """The value under `key`, or `default`."""
        return getattr(self, key) if key in self._keys else default

    def setdefault(self, key, default=None):
        """The value under `key`, which becomes `default` if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self):
        """Remove everything."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key):
        """Take the value under `key` out and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Take the last (key, value) out and return it."""
        key = list(self._keys)[-1]
        return key, self.pop(key)

    def fromkeys(self, keys, default=None):
        """A new ParameterDict with `default` under each of the keys."""
        return ParameterDict([(key, default) for key in keys])

    def copy(self):
        """A new ParameterDict with the same parameters."""
        return ParameterDict(self.items())

    def update(self, parameters):
        """Add values from a mapping or from (key, value) pairs; those of the same keys are replaced."""
        for key, value in pairs_of(parameters, "ParameterDict"):
            self[key] = value

    def __or__(self, other):
        result = self.copy()
        result.update(other)
        return result

    def __ior__(self, other):
        self.update(other)
        return self
