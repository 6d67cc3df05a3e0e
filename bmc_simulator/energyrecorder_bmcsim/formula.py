"""Power as a formula of time: a small arithmetic language, read without evaluating Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

Function = Callable[[float], float]

_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[float], float]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "floor": math.floor,
    "abs": abs,
    "min": min,
    "max": max,
}
_CONSTANTS = {"pi": math.pi, "e": math.e}
ALLOWED = f"numbers, t, + - * / % **, parentheses, {', '.join([*_CONSTANTS, *_FUNCTIONS])}"


def parse_formula(text: str) -> Function:
    """Return the function of ``t`` (seconds) that ``text`` describes, in watts.

    Where it is negative or has no finite value the power is 0.

    Args:
        text: Such as ``200 + 50*sin(t/30)``.

    Raises:
        ValueError: It holds anything but what `ALLOWED` lists.
    """
    try:
        inner = _build(ast.parse(text, mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(ALLOWED) from None

    def power_w(t_s: float) -> float:
        try:
            value_w = inner(t_s)
        except (ArithmeticError, ValueError):
            return 0.0
        return value_w if math.isfinite(value_w) and value_w > 0 else 0.0

    return power_w


def _build(node: ast.expr) -> Function:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            constant = float(number)
            return lambda _t_s: constant
        case ast.Name(id="t"):
            return lambda t_s: t_s
        case ast.Name(id=name) if name in _CONSTANTS:
            known = _CONSTANTS[name]
            return lambda _t_s: known
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            return _apply(_UNARY[type(sign)], [_build(operand)])
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _BINARY:
            return _apply(_BINARY[type(operation)], [_build(left), _build(right)])
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if args and name in _FUNCTIONS:
            function = _apply(_FUNCTIONS[name], [_build(argument) for argument in args])
            _check_arity(function)
            return function
    raise ValueError(ALLOWED)


def _apply(function: Callable[..., float], arguments: list[Function]) -> Function:
    return lambda t_s: float(function(*(argument(t_s) for argument in arguments)))


def _check_arity(function: Function) -> None:
    try:
        function(1.0)
    except TypeError:
        raise ValueError(ALLOWED) from None
    except (ArithmeticError, ValueError):
        return  # a matter of t, not of the number of arguments
