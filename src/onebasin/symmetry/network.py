"""A private copy of a model for every evaluation: nothing that a model does to itself reaches the user's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from onebasin.symmetry.values import Call, SymmetryError, duplicate, like


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and persistent buffers of a model, detached, not copied, one object for shared ones."""
    owned = {key: value for key, value in model.state_dict(keep_vars=True).items() if torch.is_tensor(value)}
    detached = {id(value): value.detach() for value in owned.values()}
    return {key: detached[id(value)] for key, value in owned.items()}


@contextmanager
def evaluation(model: nn.Module, training: bool = False) -> Iterator[None]:
    """Put a model into evaluation or training mode, without gradients or fused shortcuts, and put everything back.

    It is left through ``train()``, which is where modules drop what they keep while in evaluation mode.
    """
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        with torch.no_grad(), unfused():
            yield
    finally:
        model.train()
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def unfused() -> Iterator[None]:
    """Keep PyTorch from evaluating a whole transformer layer as one operation, or what it compiled before."""
    shortcut = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    compiler = "torch._dynamo" in sys.modules  # loading it takes a second
    try:
        with torch.compiler.set_stance("force_eager") if compiler else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(shortcut)


class _Followable(TorchFunctionMode):
    """Replaces what looks at values only to check them by what does the same without looking."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func is nn.functional.one_hot:
            given = {"num_classes": -1, **dict(zip(("tensor", "num_classes"), args, strict=False)), **(kwargs or {})}
            index, classes = given["tensor"], given["num_classes"]
            if classes > 0:
                return index.new_zeros(*index.shape, classes).scatter(-1, index.unsqueeze(-1), 1)
        return func(*args, **(kwargs or {}))


class Network:
    """A private copy of a model, with a state of its own. It is called as the model is.

    Everything is copied, tensors too: a model may count its calls, keep what it derived from its parameters, or change
    buffers and even parameters in place.

    Attributes:
        module: the copy, in evaluation mode, or in training mode.
        tensors: the copy's parameters and persistent buffers by state key; one object for shared ones.
        names: the paths of the copy's modules.
    """

    def __init__(
        self,
        model: nn.Module,
        state: Mapping[str, Any] | None = None,
        *,
        training: bool = False,
        dtype: torch.dtype | None = None,
        gradients: bool = False,
    ) -> None:
        """Copy a model.

        Args:
            model: any module.
            state: tensors by state key; the model's own where there is none.
            training: evaluate in training mode.
            dtype: what floating-point parameters and buffers are converted to; as they are by default.
            gradients: let parameters have gradients.

        Raises:
            SymmetryError: for a module that is no longer Python, or has not made its parameters yet.
            ValueError: if the state has tensors that the model lacks.
        """
        _check_kind(model)
        self._gradients, self._training = gradients, training
        state = state or {}
        owned = {key: value for key, value in model.state_dict(keep_vars=True).items() if torch.is_tensor(value)}
        foreign = sorted(key for key, value in state.items() if torch.is_tensor(value) and key not in owned)
        if foreign:
            raise ValueError(f"the state has tensors that the model lacks: {', '.join(foreign)}")
        copies: dict[int, Any] = {}
        for key, tensor in owned.items():
            if id(tensor) not in copies:
                value = state.get(key, tensor).detach()
                value = like(value.to(converted(value, dtype), copy=True), tensor)
                copies[id(tensor)] = value.requires_grad_(gradients and isinstance(value, nn.Parameter))
        self.tensors: dict[str, Tensor] = {key: copies[id(tensor)] for key, tensor in owned.items()}
        modules = dict(model.named_modules())
        for module in modules.values():
            copies[id(module)] = object.__new__(type(module))
        for module in modules.values():
            for name, value in vars(module).items():
                vars(copies[id(module)])[name] = duplicate(value, copies)
        self.names: dict[nn.Module, str] = {copies[id(module)]: name for name, module in modules.items()}
        for module in self.names:
            module._compiled_call_impl = None
            for name, child in module._modules.items():
                module._modules[name] = None if child is None else _unwrapped(child)
        self.module: nn.Module = copies[id(model)]
        if dtype is not None:
            for buffer in self.module.buffers():
                buffer.data = buffer.data.to(converted(buffer, dtype))
        # What a module keeps of its own state while in evaluation mode, it drops on the way.
        try:
            self.module.train().train(training)
        except Exception as error:  # whatever a foreign module raises
            mode = "training" if training else "evaluation"
            raise SymmetryError(f"the model cannot be put into {mode} mode: {type(error).__name__}: {error}") from error
        self.module = _unwrapped(self.module)

    def load(self, state: Mapping[str, Any]) -> None:
        """Give the copy another state, whose tensors have the shapes and types of those of the one before."""
        loaded: set[int] = set()
        with torch.no_grad():
            for key, tensor in self.tensors.items():
                if key in state and id(tensor) not in loaded:
                    tensor.copy_(state[key])
                    loaded.add(id(tensor))
        self.module.train().train(self._training)

    def __call__(self, *positional: Any, **named: Any) -> Any:
        """Evaluate the copy, without fused shortcuts, and without gradients unless they were asked for."""
        with torch.set_grad_enabled(self._gradients), unfused(), _Followable():
            return self.module(*positional, **named)

    def with_tensors(self, tensors: Mapping[str, Tensor], *positional: Any) -> Any:
        """Evaluate the copy with other parameters and buffers, through which gradients flow."""
        self.module.train().train(self._training)
        with unfused(), _Followable():
            return torch.func.functional_call(self.module, dict(tensors), positional)

    def run(self, call: Call) -> Any:
        """Evaluate the copy on an example input."""
        return self(*call.positional, **call.named)


# What stands around a module and computes nothing, with the name of what is inside.
_WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}


def _unwrapped(module: nn.Module) -> nn.Module:
    while type(module).__name__ in _WRAPPERS:
        module = getattr(module, _WRAPPERS[type(module).__name__])
    return module


def converted(tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """Return the dtype of a tensor after conversion: only real and complex numbers change."""
    if dtype is None or not (tensor.is_floating_point() or tensor.is_complex()):
        return tensor.dtype
    return dtype.to_complex() if tensor.is_complex() else dtype


def _check_kind(model: nn.Module) -> None:
    for name, module in model.named_modules():
        kind, where = type(module), f"module {name!r}" if name else "the model"
        if isinstance(module, torch.jit.ScriptModule):
            raise SymmetryError(f"{where} is compiled by torch.jit: pass the module from which it was made")
        if "quantized" in kind.__module__:
            raise SymmetryError(f"{where} is quantised ({kind.__name__}): pass the module from which it was made")
        if any(nn.parameter.is_lazy(value) for value in [*module._parameters.values(), *module._buffers.values()]):
            raise SymmetryError(f"{where} has no parameters yet: call the model once before")
