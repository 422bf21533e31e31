"""A module's state: saving, loading and converting its parameters and buffers."""

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from ..base import TensorBase
from ..tensor import Tensor
from .parameter import Parameter, is_meta, without_memory


class State:
    """What a Module does with all its numbers at once."""

    def state_dict(self, *, destination=None, prefix="", keep_vars=False):
        """Dotted path -> tensor, of all parameters and persistent buffers, in order.

        The tensors share the module's memory; they are detached, or with `keep_vars` the very parameters.
        """
        state = OrderedDict() if destination is None else destination
        for kind, name in self._own_state():
            tensor = kind[name]
            state[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return state

    def _own_state(self):
        """(dict, name) of each of this module's own tensors that belong to the state."""
        for name, tensor in self._parameters.items():
            if tensor is not None:
                yield self._parameters, name
        for name, tensor in self._buffers.items():
            if tensor is not None and name not in self._non_persistent_buffers_set:
                yield self._buffers, name

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copy the tensors of a `state_dict` in, or with `assign` put them in the place of the module's own.

        Nothing is changed if anything does not fit: RuntimeError lists every missing and unexpected key (unless
        not `strict`) and every other shape. Returns `missing_keys` and `unexpected_keys`.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        places = {
            f"{path}.{name}" if path else name: (kind, name)
            for path, module in self.named_modules(remove_duplicate=False)
            for kind, name in module._own_state()
        }
        missing = [key for key in places if key not in state_dict]
        unexpected = [key for key in state_dict if key not in places]
        wrong = []
        if strict and missing:
            wrong.append(f"Missing key(s) in state_dict: {_quoted(missing)}. ")
        if strict and unexpected:
            wrong.append(f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        loaded = {key: place for key, place in places.items() if key in state_dict}
        for key, (kind, name) in loaded.items():
            own, given = kind[name], state_dict[key]
            if np.shape(given) != own.shape:
                wrong.append(
                    f"size mismatch for {key}: copying a param with shape {np.shape(given)} from checkpoint, the shape "
                    f"in current model is {own.shape}."
                )
            elif is_meta(own) and not assign:
                wrong.append(f"{key} is a meta parameter, without memory to copy to: pass assign=True.")
        if wrong:
            raise RuntimeError(f"Error(s) in loading state_dict for {self._get_name()}:\n\t" + "\n\t".join(wrong))
        for key, (kind, name) in loaded.items():
            given = state_dict[key]
            if assign:
                kind[name] = _in_place_of(kind[name], given)
            else:
                kind[name]._data[...] = given._data if isinstance(given, TensorBase) else given
                kind[name]._changed_in_place()
        return IncompatibleKeys(missing, unexpected)

    # ------------------------------------------------------------------------------ conversion

    def to(self, *args, dtype=None, device=None, non_blocking=False):
        """Convert floating parameters and buffers, in place: `to(dtype)`, `to(tensor)` (its dtype), `to("cpu")`."""
        for argument in args:
            if isinstance(argument, TensorBase):
                dtype = argument.dtype
            elif _is_device(argument):
                device = argument
            elif argument is not None and not isinstance(argument, bool):
                dtype = argument
        if device is not None and str(getattr(device, "type", device)).partition(":")[0] != "cpu":
            raise RuntimeError(f"the only device is the CPU, got {device!r}")
        if dtype is None:
            return self
        dtype = np.dtype(dtype)
        if dtype.kind != "f":
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
        return self._converted(dtype, "f")

    def cpu(self):
        """The module itself: all tensors live there."""
        return self

    def float(self):
        """Floating parameters and buffers as float32."""
        return self._converted(np.dtype(np.float32), "f")

    def double(self):
        """Floating parameters and buffers as float64."""
        return self._converted(np.dtype(np.float64), "f")

    def type(self, dst_type):
        """All parameters and buffers, integers too, in another dtype."""
        return self._converted(np.dtype(dst_type), "biuf")

    def _converted(self, dtype, kinds):
        for tensor in (*self.parameters(), *self.buffers()):
            array = tensor._data
            if array.dtype.kind in kinds and array.dtype != dtype:
                converted = without_memory(array.shape, dtype) if is_meta(tensor) else array.astype(dtype)
                tensor.data = Tensor(converted)  # an array would be converted back
                if tensor.grad is not None:
                    tensor.grad = tensor.grad.to(dtype)
        return self


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
        return f"_IncompatibleKeys(missing_keys={self[0]}, unexpected_keys={self[1]})"


def _quoted(keys):
    return ", ".join(f'"{key}"' for key in keys)


def _in_place_of(own, given):
    """`given` as a parameter, if `own` is one; it keeps `own`'s wish for a gradient."""
    given = given if isinstance(given, TensorBase) else Tensor(given)
    if isinstance(own, Parameter):
        if not isinstance(given, Parameter):
            return Parameter(given, own.requires_grad)
        given.requires_grad = own.requires_grad
    return given


def _is_device(argument):
    return (hasattr(argument, "type") and isinstance(argument.type, str)) or (
        isinstance(argument, str) and argument.partition(":")[0] in ("cpu", "cuda", "mps", "meta")
    )  # fmt: skip
