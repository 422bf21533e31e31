"""The tree of modules: who is a part of whom, and the dotted paths that name everything in it."""


class Tree:
    """What a Module can tell of its parts. `Module` keeps them in `_modules`, `_parameters` and `_buffers`."""

    def named_children(self):
        """(name, module) of the direct parts, each module once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """The direct parts."""
        for _, module in self.named_children():
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """(dotted path, module) of this module (path "") and everything below it; a shared one under its first
        path, or with `remove_duplicate=False` under each."""
        memo = set() if memo is None else memo
        if self not in memo:
            if remove_duplicate:
                memo.add(self)
            yield prefix, self
            for name, module in self._modules.items():
                if module is not None:
                    yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate=True):
        """This module and everything below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """(dotted path, parameter); a shared one under its first name, or with `remove_duplicate=False` under each."""
        yield from self._named_tensors("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """Everything that is learned."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(dotted path, buffer), as `named_parameters`."""
        yield from self._named_tensors("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """Everything that is kept but not learned."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_tensors(self, kind, prefix, recurse, remove_duplicate):
        seen = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, tensor in getattr(module, kind).items():
                if tensor is not None and tensor not in seen:
                    if remove_duplicate:
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

    def set_submodule(self, target, module, strict=False):
        """Put `module` at a dotted path, whose parent must exist; with `strict`, so must the module to replace."""
        if not target:
            raise ValueError("set_submodule needs the path of the module to set, got ''")
        if not isinstance(module, Tree):
            raise ValueError(f"set_submodule: {target!r} can be set to a Module, not {type(module).__name__}")
        *parents, name = target.split(".")
        parent = self.get_submodule(".".join(parents))
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{type(parent).__name__} has no submodule {name!r} to replace")
        if hasattr(parent, name) and name not in parent._modules:
            raise AttributeError(f"{name!r} of {type(parent).__name__} is not a Module")
        setattr(parent, name, module)

    def get_parameter(self, target):
        """The parameter at a dotted path."""
        return self._get_tensor("_parameters", "parameter", target)

    def get_buffer(self, target):
        """The buffer at a dotted path."""
        return self._get_tensor("_buffers", "buffer", target)

    def _get_tensor(self, kind, what, target):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in getattr(module, kind):
            raise AttributeError(f"{type(module).__name__} has no {what} {name!r} (looking for {target!r})")
        return getattr(module, kind)[name]
