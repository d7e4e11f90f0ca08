"""The primitives of JAX that call a network, with the rules of their derivatives.

With f(x, p), tangents t and u of (x, p), and a cotangent c: `value` is f, `jvp` J t, `vjp` Jᵀ c and
`hvp` the Hessian of <c, f> times t. `bend` is the second derivative of f along t and u. The engine
cannot compute it, but its transpose is `hvp`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.experimental.buffer_callback import buffer_callback
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from fastnn.exchange.pure_function import PureFunction

# The static arguments of all primitives: the function, and for `vjp` which derivatives are wanted.
Static = Any


def _define(
    name: str, is_pair: bool, compute: "Callable[..., Any] | None", like: Callable[..., Any]
) -> Primitive:
    """Return a primitive that calls `compute`; `like` returns the shapes of its results."""
    primitive = Primitive(f"fastnn_{name}")
    primitive.multiple_results = is_pair

    def call(*arguments: Any, **static: Static) -> Any:
        if compute is None:
            raise NotImplementedError(
                "fastnn has no forward-over-forward derivatives; jax.hessian, which is "
                "jax.jacfwd(jax.jacrev(f)), is wanted"
            )

        def compute_into(context: Any, out: Any, *buffers: Any) -> None:
            found: Any = compute(*map(np.asarray, buffers), **static)
            for target, array in zip(*map(jax.tree.leaves, (out, found)), strict=True):
                np.asarray(target)[...] = array

        shapes = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), like(*arguments, **static)
        )
        # `pure_callback` copies large arguments in JAX's threads, and waits for ever if there is
        # only one
        return buffer_callback(compute_into, shapes)(*arguments)

    primitive.def_impl(call)
    primitive.def_abstract_eval(like)
    mlir.register_lowering(primitive, mlir.lower_fun(call, multiple_results=is_pair))
    batching.primitive_batchers[primitive] = _batcher(primitive)
    return primitive


def _outputs(x: Any, *others: Any, function: PureFunction) -> ShapedArray:
    return ShapedArray((x.shape[0], function.n_out), x.dtype)


def _inputs(x: Any, p: Any, *others: Any, **static: Static) -> "list[ShapedArray]":
    return [ShapedArray(x.shape, x.dtype), ShapedArray(p.shape, p.dtype)]


def _batcher(primitive: Primitive) -> Callable[..., Any]:
    """Return the rule of `vmap`."""

    def batch(arguments: Sequence[Any], axes: Sequence[Any], **static: Static) -> Any:
        mapped = [axis is not None for axis in axes]
        rows = [
            jnp.moveaxis(a, axis, 0) if own else a
            for a, axis, own in zip(arguments, axes, mapped, strict=True)
        ]
        size = next(len(a) for a, own in zip(rows, mapped, strict=True) if own)
        of_samples = [a.ndim - own == 2 for a, own in zip(rows, mapped, strict=True)]
        sums = primitive is hvp or (primitive is vjp and static["wanted"][1])
        if not sums and not any(own for own, x in zip(mapped, of_samples, strict=True) if not x):
            return joined(rows, mapped, of_samples, size, **static)

        def one(own: Sequence[Any]) -> Any:
            left = iter(own)
            each = [next(left) if m else a for a, m in zip(rows, mapped, strict=True)]
            return primitive.bind(*each, **static)

        found = jax.lax.map(one, [a for a, own in zip(rows, mapped, strict=True) if own])
        return found, [0, 0] if primitive.multiple_results else 0

    def joined(
        rows: Sequence[Any],
        mapped: Sequence[bool],
        of_samples: Sequence[bool],
        size: int,
        **static: Static,
    ) -> Any:
        """Compute all samples of the batch in one call, with the same parameters."""
        wide = [
            a if m else jnp.broadcast_to(a, (size, *a.shape))
            for a, m in zip(rows, mapped, strict=True)
        ]
        each = [
            w.reshape(-1, w.shape[-1]) if x else a
            for w, a, x in zip(wide, rows, of_samples, strict=True)
        ]
        found = primitive.bind(*each, **static)
        if primitive.multiple_results:  # of `vjp` the derivative by the samples
            return [found[0].reshape(size, -1, found[0].shape[1]), found[1]], [0, None]
        return found.reshape(size, -1, found.shape[1]), 0

    return batch


value = _define("value", False, lambda x, p, function: function.value(x, p), _outputs)
jvp = _define("jvp", False, lambda *arrays, function: function.jvp(*arrays), _outputs)
vjp = _define("vjp", True, lambda *a, function, wanted: function.vjp(*a, wanted), _inputs)
hvp = _define("hvp", True, lambda *arrays, function: function.hvp(*arrays), _inputs)
bend = _define("bend", False, None, _outputs)


def _nonzero(*tangents: Any) -> "tuple[Any, ...] | None":
    """Return tangents as arrays; None if all are known to be 0."""
    if all(type(t) is ad.Zero for t in tangents):
        return None
    return tuple(map(ad.instantiate_zeros, tangents))


def _total(terms: "list[Any]") -> Any:
    """Return the sum of results, which are arrays or lists of them."""
    return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *terms)


def _value_jvp(primals: Any, tangents: Any, function: PureFunction) -> Any:
    t = [ad.instantiate_zeros(tangent) for tangent in tangents]
    return value.bind(*primals, function=function), jvp.bind(*primals, *t, function=function)


def _jvp_jvp(primals: Any, tangents: Any, function: PureFunction) -> Any:
    x, p, *t = primals
    terms = []
    if (u := _nonzero(*tangents[:2])) is not None:
        terms.append(bend.bind(x, p, *t, *u, function=function))
    if (dt := _nonzero(*tangents[2:])) is not None:
        terms.append(jvp.bind(x, p, *dt, function=function))
    return jvp.bind(*primals, function=function), _total(terms)


def _vjp_jvp(primals: Any, tangents: Any, **static: Static) -> Any:
    x, p, c = primals
    terms = []
    if (u := _nonzero(*tangents[:2])) is not None:
        terms.append(hvp.bind(x, p, c, *u, function=static["function"]))
    if (dc := _nonzero(tangents[2])) is not None:
        terms.append(vjp.bind(x, p, *dc, **static))
    return vjp.bind(*primals, **static), _total(terms)


def _hvp_jvp(primals: Any, tangents: Any, function: PureFunction) -> Any:
    if _nonzero(*tangents[:2]) is not None:
        raise NotImplementedError("fastnn has no third derivatives of a network")
    x, p, c, *t = primals
    terms = []
    if (dc := _nonzero(tangents[2])) is not None:
        terms.append(hvp.bind(x, p, *dc, *t, function=function))
    if (dt := _nonzero(*tangents[3:])) is not None:
        terms.append(hvp.bind(x, p, c, *dt, function=function))
    return hvp.bind(*primals, function=function), _total(terms)


def _of_tangent(c: Any, arguments: Sequence[Any], pull: Callable[..., Any]) -> "list[Any]":
    """Return the cotangents of the arguments. The result is linear in the last two, a tangent."""
    cotangents: list[Any] = [None] * len(arguments)
    cs = _nonzero(*c) if isinstance(c, list | tuple) else _nonzero(c)
    wanted = tuple(ad.is_undefined_primal(t) for t in arguments[-2:])
    if cs is not None:
        found = pull(wanted, *cs)
        cotangents[-2:] = [part if own else None for part, own in zip(found, wanted, strict=True)]
    return cotangents


def _jvp_transpose(c: Any, x: Any, p: Any, *t: Any, function: PureFunction) -> "list[Any]":
    def pull(wanted: Any, c: Any) -> Any:
        return vjp.bind(x, p, c, function=function, wanted=wanted)

    return _of_tangent(c, (x, p, *t), pull)


def _bend_transpose(
    c: Any, x: Any, p: Any, tx: Any, tp: Any, *u: Any, function: PureFunction
) -> "list[Any]":
    def pull(wanted: Any, c: Any) -> Any:
        return hvp.bind(x, p, c, tx, tp, function=function)

    return _of_tangent(c, (x, p, tx, tp, *u), pull)


def _hvp_transpose(cs: Any, x: Any, p: Any, c: Any, *t: Any, function: PureFunction) -> "list[Any]":
    def pull(wanted: Any, *g: Any) -> Any:  # the Hessian is symmetric
        return hvp.bind(x, p, c, *g, function=function)

    return _of_tangent(cs, (x, p, c, *t), pull)


def _vjp_transpose(
    ts: Any, x: Any, p: Any, c: Any, function: PureFunction, wanted: Any
) -> "list[Any]":
    t = _nonzero(*ts)
    return [None, None, None if t is None else jvp.bind(x, p, *t, function=function)]


for _primitive, _rule in ((value, _value_jvp), (jvp, _jvp_jvp), (vjp, _vjp_jvp), (hvp, _hvp_jvp)):
    ad.primitive_jvps[_primitive] = _rule
for _primitive, _transpose in (
    (jvp, _jvp_transpose),
    (vjp, _vjp_transpose),
    (hvp, _hvp_transpose),
    (bend, _bend_transpose),
):
    ad.primitive_transposes[_primitive] = _transpose
