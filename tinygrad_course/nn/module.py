"""Module: a layer or a network. It knows its parameters, its buffers and its parts by name."""

import itertools

from ..base import TensorBase
from ..differentiable import RemovableHandle
from ..modes import thread
from .hooks import Hooks, call_with_hooks
from .parameter import Parameter
from .state import State
from .tree import Tree

__all__ = ["Module", "Parameter"]

_structure_version = itertools.count(1)
_version = 0  # changes whenever any module gains or loses a part
_attributes_set = 0  # how often an attribute of any module was set


class Module(Tree, State):
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

    _module_hooks = None  # a Hooks, once there is one: a call without hooks looks no further

    def __init__(self):
        set_attribute = super().__setattr__
        set_attribute("training", True)
        set_attribute("_parameters", {})
        set_attribute("_buffers", {})
        set_attribute("_modules", {})
        set_attribute("_non_persistent_buffers_set", set())  # buffers that state_dict leaves out
        set_attribute("_module_paths", (0, None))

    def forward(self, *inputs):
        raise NotImplementedError(f'module {type(self).__name__} is missing the required "forward" method')

    def __call__(self, *inputs, **keywords):
        """Run `forward` under this module's scope, so that the tape knows which layer made what."""
        paths = thread.state.paths
        if paths is None:  # the outermost module names them all
            thread.state.paths = self._dotted_paths()
            try:
                return Module.__call__(self, *inputs, **keywords)
            finally:
                thread.state.paths = None
        outer_scope = thread.state.scope
        scope = paths.get(id(self))
        if scope is None:  # not registered in the network that is running: `nn.ReLU()(x)` inside a forward
            name = type(self).__name__
            scope = f"{outer_scope}.{name}" if outer_scope else name
        thread.state.scope = scope
        try:
            if self._module_hooks is None:
                return self.forward(*inputs, **keywords)
            return call_with_hooks(self, inputs, keywords)
        finally:
            thread.state.scope = outer_scope

    def _dotted_paths(self):
        """id(module) -> dotted path, of all modules below this one; kept until any module's parts change."""
        version, paths = self._module_paths
        if version != _version or paths is None:
            paths = {id(module): path for path, module in self.named_modules()}
            super().__setattr__("_module_paths", (_version, paths))
        return paths

    # ------------------------------------------------------------------------------ parts

    def __setattr__(self, name, value):
        global _attributes_set
        _attributes_set += 1
        parts = self.__dict__.get("_parameters")
        if parts is None:
            if isinstance(value, TensorBase | Module):
                raise AttributeError(f"{type(self).__name__}: call super().__init__() before setting {name!r}")
            return super().__setattr__(name, value)
        if isinstance(value, Parameter):
            self._forget(name, but=parts)
            self.register_parameter(name, value)
        elif name in parts:
            if value is not None:
                raise TypeError(
                    f"parameter {name!r} can be set to a Parameter or None, not {type(value).__name__}; to change its "
                    f"numbers, assign to {name}.data"
                )
            parts[name] = None
        elif isinstance(value, Module):
            self._forget(name, but=self._modules)
            self._modules[name] = value
        elif name in self._modules:
            if value is not None:
                raise TypeError(f"submodule {name!r} can be set to a Module or None, not {type(value).__name__}")
            self._modules[name] = None
            _parts_changed()
        elif name in self._buffers:
            if value is not None and not isinstance(value, TensorBase):
                raise TypeError(f"buffer {name!r} can be set to a Tensor or None, not {type(value).__name__}")
            self._buffers[name] = value
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name):
        attributes = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind in attributes and name in attributes[kind]:
                return attributes[kind][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name):
        if not self._forget(name):
            super().__delattr__(name)

    def __dir__(self):
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def _forget(self, name, but=None):
        """Remove `name` from all kinds of parts, except from `but`, where it is to keep its place in the order."""
        found = False
        for parts in (self._parameters, self._buffers, self._modules):
            if name in parts and parts is not but:
                del parts[name]
                found = True
        if but is not None:
            self.__dict__.pop(name, None)
        self._non_persistent_buffers_set.discard(name)
        _parts_changed()
        return found

    def register_parameter(self, name, param):
        """Add a Parameter (or None: a place that stays empty) under `name`."""
        self._check_name(name, self.__dict__.get("_parameters"))
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"parameter {name!r} must be a Parameter or None, not {type(param).__name__}")
        if param is not None and param.node is not None:
            raise ValueError(f"parameter {name!r} must be a leaf, but was computed; compute it in forward instead")
        self._parameters[name] = param

    def register_buffer(self, name, tensor, persistent=True):
        """Add a tensor that belongs to the state but is not learned, like a running mean."""
        self._check_name(name, self.__dict__.get("_buffers"))
        if tensor is not None and not isinstance(tensor, TensorBase):
            raise TypeError(f"buffer {name!r} must be a Tensor or None, not {type(tensor).__name__}")
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name, module):
        """Add a submodule (or None) under `name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"submodule {name!r} must be a Module or None, not {type(module).__name__}")
        self._check_name(name, self.__dict__.get("_modules"))
        self._modules[name] = module
        _parts_changed()

    def register_module(self, name, module):
        """`add_module`."""
        self.add_module(name, module)

    def _check_name(self, name, parts):
        if parts is None:
            raise AttributeError(f"call super().__init__() in {type(self).__name__}.__init__ first")
        if not isinstance(name, str):
            raise TypeError(f"a part's name must be a string, not {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"a part's name must not be empty or contain a dot, got {name!r}")
        if name not in parts and hasattr(self, name):
            raise KeyError(f"attribute {name!r} already exists in {type(self).__name__}")

    # ------------------------------------------------------------------------------ hooks

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call `hook(module, args)` before each forward; what it returns, if not None, takes the args' place.

        `with_kwargs`: `hook(module, args, kwargs)` returns None or (args, kwargs). `prepend`: before all others.
        """
        return RemovableHandle(self._hooks_to_change().forward_pre, (hook, with_kwargs), prepend)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call `hook(module, args, output)` after each forward; what it returns, if not None, is the output.

        `with_kwargs`: `hook(module, args, kwargs, output)`. `always_call`: even if forward raises (output None).
        """
        return RemovableHandle(self._hooks_to_change().forward, (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call `hook(module, grad_output)` when the gradients of the outputs are whole, before backward passes the
        module; it may return a tuple that takes their place. Outputs must be a tensor or a tuple of tensors."""
        return RemovableHandle(self._hooks_to_change().backward_pre, hook, prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call `hook(module, grad_input, grad_output)` when backward has passed the module: tuples of ∂L/∂input for
        the positional arguments (None for what is no tensor) and ∂L/∂output. It may return a new grad_input.

        grad_input is what went into the input through this module alone, whoever else uses that tensor.
        """
        return RemovableHandle(self._hooks_to_change().backward, hook, prepend)

    def _hooks_to_change(self):
        if self._module_hooks is None:
            super().__setattr__("_module_hooks", Hooks())
        return self._module_hooks

    # ------------------------------------------------------------------------------ modes

    def train(self, mode=True):
        """Training mode for this module and all below: batch norm uses the batch, dropout drops."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
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
                parameter.grad = parameter.grad.detach()
                parameter.grad.zero_()

    def apply(self, fn):
        """Call `fn(module)` on every module below, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ------------------------------------------------------------------------------ printing and copies

    def extra_repr(self):
        """What a layer says of itself in parentheses."""
        return ""

    def _get_name(self):
        return type(self).__name__

    def __repr__(self):
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        part_lines = [indented(f"({name}): {module!r}") for name, module in self._modules.items()]
        if not part_lines and len(extra_lines) < 2:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(extra_lines + part_lines) + "\n)"

    def __setstate__(self, attributes):
        self.__dict__.update(attributes)
        super().__setattr__("_module_paths", (0, None))  # a copy's modules have other ids
        _parts_changed()

    def __getstate__(self):
        return {**self.__dict__, "_module_paths": (0, None)}


def indented(text):
    """All lines but the first two places to the right; blank ones stay empty."""
    first, *others = text.split("\n")
    return "\n".join([first, *["  " + line if line.strip() else "" for line in others]])


def version():
    """Another one after any module has gained or lost a part, has changed its mode, or got an attribute set."""
    return _version, _attributes_set


def _parts_changed():
    global _version
    _version = next(_structure_version)
