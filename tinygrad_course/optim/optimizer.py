"""What all optimizers share: parameter groups, `zero_grad`, `state_dict`."""

import copy
from collections import defaultdict

from ..base import TensorBase
from ..modes import enable_grad, no_grad
from ..ops.convert import contiguous

NOT_NEGATIVE = ("weight_decay", "momentum", "eps", "lr_decay", "momentum_decay", "alpha", "initial_accumulator_value")


class Optimizer:
    """Base of the optimizers. `params` is an iterable of tensors, or of dicts {"params": […], option: value}.

    A subclass gives `update(parameter, gradient, state, group)`: it changes the array `parameter` in place;
    `state` is that parameter's own dict, empty at its first step. Or it gives `update_all`, which does so for all
    parameters of a group at once, given lists of them. Options that choose between PyTorch's implementations
    (`choices`) are taken and kept in the groups, but change nothing here.
    """

    choices = {"foreach": None, "capturable": False, "differentiable": False}

    def __init__(self, params, defaults, choices=None):
        if isinstance(params, TensorBase):
            raise TypeError("params must be an iterable of tensors or dicts, not one tensor; pass [tensor]")
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for name in choices or ():
            if name not in self.choices:
                raise TypeError(f"{type(self).__name__} got an unexpected keyword argument {name!r}")
        self.defaults = {**defaults, **self.choices, **(choices or {})}
        self.state = defaultdict(dict)
        self._stepped = False  # a schedule asks whether the first step came before its own
        self.param_groups = []
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, group):
        """Add a dict {"params": […], option: value}; options that are not given take the defaults."""
        params = [group["params"]] if isinstance(group["params"], TensorBase) else list(group["params"])
        group = {**self.defaults, **group, "params": params}
        if params and all(isinstance(p, tuple) for p in params):  # (name, parameter), as of named_parameters()
            group["param_names"], group["params"] = (list(column) for column in zip(*params, strict=True))
            params = group["params"]
        known = {p for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, TensorBase):
                raise TypeError(f"an optimizer can only optimize tensors, not {type(p).__name__}")
            if p.node is not None:
                raise ValueError("an optimizer can only optimize leaf tensors, this one was computed")
            if p in known:
                raise ValueError("a parameter appears in more than one parameter group")
            known.add(p)
        self.check(group)
        self.param_groups.append(group)

    def check(self, group):
        """Raise ValueError if an option of `group` makes no sense."""
        if group["lr"] < 0:
            raise ValueError(f"learning rate must be at least 0, got {group['lr']}")
        for name in NOT_NEGATIVE:
            if group.get(name, 0) < 0:
                raise ValueError(f"{name} must be at least 0, got {group[name]}")
        for i, beta in enumerate(group.get("betas", ())):
            if not 0 <= beta < 1:
                raise ValueError(f"betas[{i}] must lie in [0, 1), got {beta}")

    def zero_grad(self, set_to_none=True):
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p.grad is None:
                    p.grad = None
                else:
                    p.grad.zero_()

    def step(self, closure=None):
        """Change every parameter that has a gradient. `closure`, if given, computes the loss anew; it is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._stepped = True
        with no_grad():
            for group in self.param_groups:
                ready = [p for p in group["params"] if p.grad is not None]
                if not ready:
                    continue
                arrays = [contiguous(p._data) for p in ready]
                gradients = [contiguous(p.grad._data) for p in ready]
                self.update_all(arrays, gradients, [self.state[p] for p in ready], group)
                for p, array in zip(ready, arrays, strict=True):
                    if array is not p._data:  # kernels work on contiguous arrays
                        p._data[...] = array
                del arrays, array  # a change of what nobody else holds need not be noted
                for p in ready:
                    p._changed_in_place()
        return loss

    def update_all(self, parameters, gradients, states, group):
        """Change the arrays `parameters`, which have gradients, with the options of their group."""
        for parameter, gradient, state in zip(parameters, gradients, states, strict=True):
            self.update(parameter, gradient, state, group)

    @staticmethod
    def descent(parameter, gradient, group):
        """The gradient of what is minimized: turned around to `maximize`, and with weight_decay · parameter added."""
        if group["maximize"]:
            gradient = -gradient
        if group["weight_decay"] != 0 and not group.get("decoupled_weight_decay"):
            gradient = gradient + group["weight_decay"] * parameter
        return gradient

    def update(self, parameter, gradient, state, group):
        raise NotImplementedError(f"{type(self).__name__} has no update")

    def state_dict(self):
        """{"state": {index: …}, "param_groups": […]} with parameters named by their position, as in PyTorch."""
        position, groups = {}, []
        for group in self.param_groups:
            for p in group["params"]:
                position[p] = len(position)
            groups.append({**group, "params": [position[p] for p in group["params"]]})
        states = {position[p]: copy.deepcopy(state) for p, state in self.state.items() if state}
        return {"state": states, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Take over a `state_dict`; its groups must have the sizes of this optimizer's."""
        groups = state_dict["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in self.param_groups]:
            raise ValueError(
                f"state_dict has parameter groups of sizes {[len(g['params']) for g in groups]}, the optimizer "
                f"{[len(g['params']) for g in self.param_groups]}"
            )
        params = [p for group in self.param_groups for p in group["params"]]
        self.state = defaultdict(dict, {params[i]: copy.deepcopy(s) for i, s in state_dict["state"].items()})
        for own, other in zip(self.param_groups, groups, strict=True):
            own.update({name: value for name, value in other.items() if name != "params"})

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def alike(keys, *columns):
    """For each different key: (key, the columns with the rows that have it)."""
    different = dict.fromkeys(keys)
    for key in different:
        yield key, columns if len(different) == 1 else [
            [value for value, its_key in zip(column, keys, strict=True) if its_key == key] for column in columns
        ]
