"""Module: a layer or a network. It knows its parameters, its buffers and its parts by name."""

import itertools
from collections import OrderedDict

import numpy as np

from ..engine import TensorBase, state
from ..tensor import Tensor

_structure_version = itertools.count(1)
_version = 0  # changes whenever any module gains or loses a part


class Parameter(Tensor):
    """A tensor that a Module learns: it requires grad, and is found by `parameters()`."""

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data._data if isinstance(data, TensorBase) else data, requires_grad)

    def __repr__(self):
        return "Parameter containing:\n" + super().__repr__()


class Module:
    """Base of all layers and networks. A subclass makes its parts in `__init__` and computes in `forward`.

    >>> class Net(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc = Linear(3, 1)
    ...     def forward(self, x):
    ...         return self.fc(x).relu()

    Parameters, buffers (tensors that are saved but not learned) and submodules that are assigned as attributes
    register themselves under the attribute's name; their dotted path (`layers.3.conv1`) names them everywhere:
    in `state_dict`, in errors and on graph nodes.
    """

    def __init__(self):
        set_attribute = super().__setattr__
        set_attribute("training", True)
        set_attribute("_parameters", {})
        set_attribute("_buffers", {})
        set_attribute("_modules", {})
        set_attribute("_transient", set())  # buffers that state_dict leaves out
        set_attribute("_paths", (0, None))

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def __call__(self, *inputs, **keywords):
        """Run `forward` under this module's scope, so that the tape knows which layer made what."""
        outer_scope, outer_paths = state.scope, state.paths
        if outer_paths is None:
            state.paths = self._dotted_paths()
            scope = ""
        else:
            scope = outer_paths.get(id(self))
            if scope is None:  # not registered in the network that is running: `nn.ReLU()(x)` inside a forward
                name = type(self).__name__
                scope = f"{outer_scope}.{name}" if outer_scope else name
        state.scope = scope
        try:
            return self.forward(*inputs, **keywords)
        finally:
            state.scope, state.paths = outer_scope, outer_paths

    def _dotted_paths(self):
        """id(module) -> dotted path, of all modules below this one; kept until any module's parts change."""
        version, paths = self._paths
        if version != _version or paths is None:
            paths = {id(module): path for path, module in self.named_modules()}
            super().__setattr__("_paths", (_version, paths))
        return paths

    # ------------------------------------------------------------------------------ parts and their names

    def __setattr__(self, name, value):
        parts = self.__dict__.get("_parameters")
        if parts is None:
            if isinstance(value, TensorBase | Module):
                raise AttributeError(f"{type(self).__name__}.__init__ must call super().__init__() before setting {name!r}")
            return super().__setattr__(name, value)
        if isinstance(value, Parameter):
            self._forget(name, but=parts)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._forget(name, but=self._modules)
            self.add_module(name, value)
        elif name in parts:
            if value is not None:
                raise TypeError(f"parameter {name!r} can be set to a Parameter or None, not {type(value).__name__}")
            parts[name] = None
        elif name in self._modules and value is None:
            self._modules[name] = None
            _parts_changed()
        elif name in self._buffers:
            if value is not None and not isinstance(value, TensorBase):
                raise TypeError(f"buffer {name!r} can be set to a Tensor or None, not {type(value).__name__}")
            self._buffers[name] = value
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name):
        for kind in ("_parameters", "_buffers", "_modules"):
            parts = self.__dict__.get(kind)
            if parts is not None and name in parts:
                return parts[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name):
        if not self._forget(name):
            super().__delattr__(name)

    def __dir__(self):
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def _forget(self, name, but=None):
        """Remove `name` from all kinds of parts, except from `but`, where it is to keep its place in the order."""
        self.__dict__.pop(name, None)
        found = False
        for parts in (self._parameters, self._buffers, self._modules):
            if name in parts and parts is not but:
                del parts[name]
                found = True
        self._transient.discard(name)
        _parts_changed()
        return found

    def register_parameter(self, name, parameter):
        """Add a Parameter (or None: a place that stays empty) under `name`."""
        self._check_name(name)
        if parameter is not None and not isinstance(parameter, Parameter):
            raise TypeError(f"parameter {name!r} must be a Parameter or None, not {type(parameter).__name__}")
        self._parameters[name] = parameter

    def register_buffer(self, name, tensor, persistent=True):
        """Add a tensor that belongs to the state but is not learned, like a running mean."""
        self._check_name(name)
        if tensor is not None and not isinstance(tensor, TensorBase):
            raise TypeError(f"buffer {name!r} must be a Tensor or None, not {type(tensor).__name__}")
        self._buffers[name] = tensor
        if not persistent:
            self._transient.add(name)

    def add_module(self, name, module):
        """Add a submodule under `name`."""
        self._check_name(name)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"submodule {name!r} must be a Module or None, not {type(module).__name__}")
        self._modules[name] = module
        _parts_changed()

    register_module = add_module

    def _check_name(self, name):
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"call super().__init__() in {type(self).__name__}.__init__ first")
        if not isinstance(name, str):
            raise TypeError(f"a part's name must be a string, not {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"a part's name must not be empty or contain a dot, got {name!r}")

    def named_children(self):
        """(name, module) of the direct parts."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        for _, module in self.named_children():
            yield module

    def named_modules(self, memo=None, prefix=""):
        """(dotted path, module) of this module (path "") and everything below it, each module once."""
        memo = set() if memo is None else memo
        if self not in memo:
            memo.add(self)
            yield prefix, self
            for name, module in self._modules.items():
                if module is not None:
                    yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name)

    def modules(self):
        for _, module in self.named_modules():
            yield module

    def named_parameters(self, prefix="", recurse=True):
        """(dotted path, parameter), each parameter once, under its first name."""
        yield from self._named_tensors("_parameters", prefix, recurse)

    def parameters(self, recurse=True):
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix="", recurse=True):
        """(dotted path, buffer), each buffer once."""
        yield from self._named_tensors("_buffers", prefix, recurse)

    def buffers(self, recurse=True):
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_tensors(self, kind, prefix, recurse):
        seen = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, tensor in getattr(module, kind).items():
                if tensor is not None and tensor not in seen:
                    seen.add(tensor)
                    yield f"{path}.{name}" if path else name, tensor

    def get_submodule(self, target):
        """The module at a dotted path."""
        module = self
        for name in target.split(".") if target else []:
            if name not in module._modules:
                raise AttributeError(f"{type(module).__name__} has no submodule {name!r} (looking for {target!r})")
            module = module._modules[name]
        return module

    # ------------------------------------------------------------------------------ state

    def state_dict(self, prefix=""):
        """Dotted path -> tensor, of all parameters and buffers; the tensors share the module's memory."""
        state = OrderedDict()
        for path, module in self._all_named_modules(prefix):
            for name, tensor in module._parameters.items():
                if tensor is not None:
                    state[f"{path}{name}"] = tensor.detach()
            for name, tensor in module._buffers.items():
                if tensor is not None and name not in module._transient:
                    state[f"{path}{name}"] = tensor.detach()
        return state

    def _all_named_modules(self, prefix):
        """(path with a trailing dot, module), a shared module under each of its names."""
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module._all_named_modules(f"{prefix}{name}.")

    def load_state_dict(self, state_dict, strict=True):
        """Copy the tensors of a `state_dict` in; nothing is copied if anything does not fit.

        RuntimeError lists what is missing, unexpected (unless not `strict`) or of another shape.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        wrong = []
        if strict and missing:
            wrong.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            wrong.append(f"unexpected: {', '.join(unexpected)}")
        shared = [name for name in own if name in state_dict]
        for name in shared:
            if np.shape(state_dict[name]) != own[name].shape:
                wrong.append(f"{name} has shape {np.shape(state_dict[name])}, the model's has {own[name].shape}")
        if wrong:
            raise RuntimeError(f"state_dict does not fit {type(self).__name__}: " + "; ".join(wrong))
        for name in shared:
            source = state_dict[name]
            own[name]._data[...] = source._data if isinstance(source, TensorBase) else source
            own[name]._changed_in_place()
        return IncompatibleKeys(missing, unexpected)

    # ------------------------------------------------------------------------------ modes

    def train(self, mode=True):
        """Training mode for this module and all below: batch norm uses the batch, dropout drops."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self):
        """Evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Learn all parameters, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none=True):
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.zero_()

    def apply(self, function):
        """Call `function(module)` on every module below, then on this one."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    def to(self, dtype):
        """Convert floating parameters and buffers to `dtype`, in place."""
        dtype = np.dtype(dtype)
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor._data.dtype.kind == "f":
                tensor.data = Tensor(tensor._data.astype(dtype))  # an array would be converted back
                if tensor.grad is not None:
                    tensor.grad = tensor.grad.to(dtype)
        return self

    def float(self):
        return self.to(np.float32)

    def double(self):
        return self.to(np.float64)

    # ------------------------------------------------------------------------------ printing

    def extra_repr(self):
        """What a layer says of itself in parentheses."""
        return ""

    def __repr__(self):
        lines = []
        for name, module in self._modules.items():
            lines.append(f"({name}): " + repr(module).replace("\n", "\n  "))
        extra = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        return f"{type(self).__name__}(\n  " + "\n  ".join([extra, *lines] if extra else lines) + "\n)"

    def __setstate__(self, attributes):
        self.__dict__.update(attributes)
        super().__setattr__("_paths", (0, None))  # a copy's modules have other ids
        _parts_changed()

    def __getstate__(self):
        return {**self.__dict__, "_paths": (0, None)}


class IncompatibleKeys(tuple):
    """What `load_state_dict` returns: `.missing_keys` and `.unexpected_keys`."""

    def __new__(cls, missing, unexpected):
        return super().__new__(cls, (missing, unexpected))

    @property
    def missing_keys(self):
        return self[0]

    @property
    def unexpected_keys(self):
        return self[1]

    def __repr__(self):
        if not any(self):
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self[0]}, unexpected_keys={self[1]})"


def _parts_changed():
    global _version
    _version = next(_structure_version)
