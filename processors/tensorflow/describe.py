"""The signature JSON that answers an empty request; keys in alphabetical order, as EAS has them."""

from .signatures import dtype_name


def signature(found):
    """One signature: its inputs, outputs and name."""
    return {
        "inputs": _tensors(found.inputs),
        "outputs": _tensors(found.outputs),
        "signature_name": found.name,
    }


def _tensors(tensors):
    return [_tensor(name, tensors[name]) for name in tensors]


def _tensor(name, tensor):
    entry = {"name": name, "shape": tensor.dims or [], "type": dtype_name(tensor.dtype)}
    if tensor.dims is None:  # not a scalar, which is what [] says otherwise
        entry["unknown_rank"] = True
    return entry
