"""A network as a program in C with the interface of CasADi's externals."""

import os
import re

import numpy as np

from fastnn import _checks
from fastnn.c_code import Program, destination, write
from fastnn.network import Network

# The function has the name itself. So it is no keyword of C, and no function that compilers know.
RESERVED = set(
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long main memcpy memmove memset register restrict return short signed sizeof "
    "static strlen struct switch typedef union unsigned void volatile while acos asin atan "
    "ceil cos cosh erf erfc exp expm1 fabs floor fmax fmin fmod hypot log log1p pow round sin "
    "sinh sqrt tan tanh trunc abs printf malloc free exit".split()
)

# The shapes of arguments and results; CasADi's names for them are at the functions.
SHAPES = """
/* The interface of CasADi's externals. An argument may be NULL, which stands for zeros. A shape has
   rows, columns, and 1 for a dense matrix, or 0 for a matrix of zeros. */

static const double @zeros[MOST] = {0.0};
static const long long @x_shape[3] = {IN, 1, 1};
static const long long @y_shape[3] = {OUT, 1, 1};
static const long long @jacobian_shape[3] = {OUT, IN, 1};
static const long long @transposed_shape[3] = {IN, OUT, 1};
static const long long @hessian_shape[3] = {IN, IN, 1};
static const long long @no_x_shape[4] = {IN, 1};
static const long long @no_y_shape[4] = {OUT, 1};
static const long long @no_shape[OUT + 3] = {IN, OUT};
"""

# For each function of CasADi its arguments, its results, and its body. CasADi also offers results
# of the function itself as arguments, which "no_x" and "no_y" decline.
FUNCTIONS = {
    "": (
        ["x"],
        ["y"],
        """\
    if (res[0]) {
        @predict(x, res[0]);
    }""",
    ),
    # (x, y) -> dy/dx, column by column
    "jac_": (
        ["x", "no_y"],
        ["jacobian"],
        """\
    if (res[0]) {
        @jacobian(x, w, w + OUT);
        for (int j = 0; j < IN; ++j) {
            for (int i = 0; i < OUT; ++i) {
                res[0][j * OUT + i] = w[OUT + i * IN + j];
            }
        }
    }""",
    ),
    # (x, y, c) -> the cotangent of x for the cotangent c of y
    "adj1_": (
        ["x", "no_y", "y"],
        ["x"],
        """\
    if (res[0]) {
        @vjp(x, arg[2] ? arg[2] : @zeros, w, res[0]);
    }""",
    ),
    # (x, y, c, the cotangent of x) -> the derivatives of the cotangent of x by x, y and c
    "jac_adj1_": (
        ["x", "no_y", "y", "no_x"],
        ["hessian", "no", "transposed"],
        """\
    if (res[0]) {
        @weighted_hessian(x, arg[2] ? arg[2] : @zeros, w, w + OUT, res[0]);
    }
    if (res[2]) {
        @jacobian(x, w, res[2]);
    }""",
    ),
}

FUNCTION = """
int PREFIX(const double **arg, double **res, long long *iw, double *w, int mem)
{
    const double *x = arg[0] ? arg[0] : @zeros;
    (void)iw;
    (void)w;
    (void)mem;
BODY
    return 0;
}

long long PREFIX_n_in(void)
{
    return N_ARG;
}

long long PREFIX_n_out(void)
{
    return N_RES;
}

const long long *PREFIX_sparsity_in(long long i)
{
    static const long long *const shapes[N_ARG] = {ARG_SHAPES};
    return i >= 0 && i < N_ARG ? shapes[i] : 0;
}

const long long *PREFIX_sparsity_out(long long i)
{
    static const long long *const shapes[N_RES] = {RES_SHAPES};
    return i >= 0 && i < N_RES ? shapes[i] : 0;
}

int PREFIX_work(long long *n_arg, long long *n_res, long long *n_iw, long long *n_w)
{
    *n_arg = N_ARG;
    *n_res = N_RES;
    *n_iw = 0;
    *n_w = OUT + OUT * IN + IN;
    return 0;
}
"""

NAMES = """
const char *@name_in(long long i)
{
    return i == 0 ? "x" : 0;
}

const char *@name_out(long long i)
{
    return i == 0 ? "y" : 0;
}
"""


def _interface(n_in: int, n_out: int) -> str:
    """Return the functions that CasADi calls, in the text of `Program.interface`."""
    text = SHAPES + NAMES
    for prefix, (arguments, results, body) in FUNCTIONS.items():
        replacements = {
            "BODY": body,
            "PREFIX": f"{prefix}NAME",
            "N_ARG": str(len(arguments)),
            "N_RES": str(len(results)),
            "ARG_SHAPES": ", ".join(f"@{own}_shape" for own in arguments),
            "RES_SHAPES": ", ".join(f"@{own}_shape" for own in results),
        }
        own = FUNCTION
        for sign, value in replacements.items():
            own = own.replace(sign, value)
        text += own
    for sign, size in {"IN": n_in, "OUT": n_out, "MOST": max(n_in, n_out)}.items():
        text = re.sub(rf"\b{sign}\b", str(size), text)
    return text.strip()


def export_external(net: Network, path: "str | os.PathLike[str]", name: str | None = None) -> None:
    """Write the network as a C99 source, which `casadi.external` can load after compilation.

    The source is that of `Network.export_c`, followed by the functions that CasADi calls. It
    computes in `double` for both dtypes. CasADi gets the value, the Jacobian, and the Hessian of
    any sum of the outputs from it. The header is written beside it.

    Parameters
    ----------
    net : Network
        A network without `CustomLayer`.
    path : str or PathLike
        The file of the source, such as "net.c". The header is then "net.h" in the same folder.
    name : str, optional
        The function's name in CasADi, and the beginning of all names in C; by default the name of
        the file without ".c". Names with two underscores in a row, "jac", "hess" and "null" are
        errors, because CasADi does not load them.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, a parameter is not finite, or the network has a `CustomLayer`.
        No file is changed then.
    OSError
        If a file cannot be written.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net is {net!r}; a fastnn.Network is wanted")
    if not _checks.all_finite(net.params):
        raise ValueError("params hold NaN or infinity; finite numbers are wanted")
    files = destination(path, name)
    if files.name in RESERVED:
        raise ValueError(f"name is {files.name!r}, which is taken in C; one such as net is wanted")
    if files.name in ("jac", "hess", "null") or "__" in files.name:
        raise ValueError(
            f"name is {files.name!r}, which CasADi does not load; one such as net is wanted"
        )
    wanted = ["predict", "jacobian", "vjp", "weighted_hessian"]
    program = Program(net.layers, net.in_features, np.dtype(np.float64), wanted)
    program.interface = _interface(program.n_in, program.n_out)
    write(files, program)
