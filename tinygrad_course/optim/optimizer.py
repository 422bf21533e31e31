"""What all optimizers share: parameter groups, `zero_grad`, `state_dict`."""

import copy

from ..engine import TensorBase, no_grad
from ..ops.convert import contiguous


class Optimizer:
    """Base of the optimizers. `params` is an iterable of tensors, or of dicts {"params": […], option: value}.

    A subclass gives `update(parameter, gradient, state, group)`: it changes the array `parameter` in place;
    `state` is that parameter's own dict, empty at its first step.
    """

    def __init__(self, params, defaults):
        if isinstance(params, TensorBase):
            raise TypeError("params must be an iterable of tensors or dicts, not one tensor; pass [tensor]")
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        self.defaults = defaults
        self.state = {}
        self.param_groups = []
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, group):
        """Add a dict {"params": […], option: value}; options that are not given take the defaults."""
        params = [group["params"]] if isinstance(group["params"], TensorBase) else list(group["params"])
        group = {**self.defaults, **group, "params": params}
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
        if group.get("weight_decay", 0) < 0:
            raise ValueError(f"weight_decay must be at least 0, got {group['weight_decay']}")

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
        loss = None if closure is None else closure()
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        state = self.state.setdefault(p, {})
                        array = contiguous(p._data)
                        self.update(array, contiguous(p.grad._data), state, group)
                        if array is not p._data:  # kernels work on contiguous arrays
                            p._data[...] = array
                        p._changed_in_place()
        return loss

    def update(self, parameter, gradient, state, group):
        raise NotImplementedError(f"{type(self).__name__} has no update")

    def state_dict(self):
        """{"state": {index: …}, "param_groups": […]} with parameters named by their position, as in PyTorch."""
        position, groups = {}, []
        for group in self.param_groups:
            for p in group["params"]:
                position[p] = len(position)
            groups.append({**group, "params": [position[p] for p in group["params"]]})
        return {"state": {position[k]: copy.deepcopy(s) for k, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Take over a `state_dict`; its groups must have the sizes of this optimizer's."""
        groups = state_dict["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in self.param_groups]:
            raise ValueError(
                f"state_dict has parameter groups of sizes {[len(g['params']) for g in groups]}, the optimizer "
                f"{[len(g['params']) for g in self.param_groups]}"
            )
        params = [p for group in self.param_groups for p in group["params"]]
        self.state = {params[i]: copy.deepcopy(s) for i, s in state_dict["state"].items()}
        for own, other in zip(self.param_groups, groups, strict=True):
            own.update({name: value for name, value in other.items() if name != "params"})

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])
