"""`compile`: a function of tensors whose operations are recorded once and then run again, without Python's share.

A small net spends its time in Python: modules, checks, a node and a tensor for each operation. The second time the
function is called with the same shapes, all of that would come out the same. So

    two calls     run the function as ever, while a `Recording`, an observer of the tape, notes of each operation its
                  node and where its inputs come from: an argument, an earlier operation, or a tensor that the function
                  holds (a parameter). Both calls must tell the same story.
    later calls   run a `Program`: the nodes' `forward`, one after the other, on the new arrays. On the tape stands one
                  node, `Compiled`, whose inputs are the arguments and the parameters; its `backward` runs the nodes'
                  `backward` in the reverse order and adds up what arrives at each.

Other shapes, dtypes, modes (`no_grad`, `model.eval()`) or parts of a module are another program. What cannot be
replayed truly (random numbers, running statistics, a look at a tensor's numbers) runs eagerly, with one warning.
"""

import warnings

from ..base import TensorBase
from ..modes import observe, thread
from ..nn.module import version as version_of_modules
from .program import Compiled, Program
from .recording import CannotReplay, Recording

__all__ = ["compile"]
MOST_KINDS = 16  # of calls (shapes, dtypes, modes) whose programs are kept


def compile(function):
    """`function`, faster where its operations are small: recorded at its first two calls, replayed at the later ones.

    >>> model = tg.compile(nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1)))
    >>> model(tg.ones(4, 2)).shape
    (4, 1)

    `function` is a module, or any function that makes one tensor of tensors by operations whose course depends on
    shapes alone. Its Python code is not run when it is replayed: tensors that change from call to call must be
    arguments; parameters may change in place, be frozen, or be replaced in their module. Results and gradients are
    those of `function`, to the last bit. Where that cannot be had, `function` itself runs, and a RuntimeWarning
    says why, once. While anybody observes the tape (a gradient recording), it runs too. No second derivatives.
    """
    if not callable(function):
        raise TypeError(f"compile needs a function or a module, not {type(function).__name__}")
    return _Compiled(function)


class _Compiled:
    """The function that `compile` returns. Attributes are the original's, so a module keeps its parameters."""

    def __init__(self, function):
        self.__wrapped__ = function
        self._stories = {}  # what calls have in common -> their first recording, or, once confirmed, their program
        self._version = None  # of all modules' attributes, that the stories belong to
        self._eager = False

    def __call__(self, *arguments, **keywords):
        now = thread.state
        if self._eager or now.observers:
            return self.__wrapped__(*arguments, **keywords)
        version = version_of_modules()
        if version != self._version:
            self._stories.clear()
            self._version = version
        tensors, kind = [], [now.grad_enabled, *keywords]
        for value in (*arguments, *keywords.values()):
            if isinstance(value, TensorBase):
                tensors.append(value)
                kind.append((value._data.shape, value._data.dtype, value._requires_grad))
            else:
                kind.append((type(value), value))
        kind = tuple(kind)
        try:
            program = self._stories.get(kind)
        except TypeError:  # an argument that has no hash
            return self._refuse("an argument is neither a tensor nor hashable", arguments, keywords)
        if type(program) is Program and program.fits():
            return Compiled(program.another())(*tensors, *program.held)
        recording = Recording(tensors)
        with observe(recording):
            result = self.__wrapped__(*arguments, **keywords)
        try:
            recording.finish(result)
            if type(program) is Recording:
                recording.confirm(program)
                self._stories[kind] = Program(recording)
            else:
                if len(self._stories) >= MOST_KINDS:
                    del self._stories[next(iter(self._stories))]
                self._stories[kind] = recording
        except CannotReplay as reason:
            self._refuse(reason)
        return result

    def _refuse(self, reason, arguments=None, keywords=None):
        """Run eagerly from now on."""
        self._eager = True
        self._stories.clear()
        name = getattr(self.__wrapped__, "__qualname__", type(self.__wrapped__).__name__)
        warnings.warn(f"compile: {name} runs eagerly: {reason}", RuntimeWarning, stacklevel=3)
        return None if arguments is None else self.__wrapped__(*arguments, **keywords)

    def __getattr__(self, name):
        return getattr(self.__wrapped__, name)

    def __repr__(self):
        return f"compile({self.__wrapped__!r})"
