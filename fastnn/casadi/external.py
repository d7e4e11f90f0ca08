"""A network as a program in C with the interface of CasADi's externals."""

import copy
import os

from fastnn.files.atomic_file import atomic_file
from fastnn.network import Network

# The function has the name itself. So it is no keyword of C, and no function that compilers know.
RESERVED = set(
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long main memcpy memmove memset register restrict return short signed sizeof "
    "static strlen struct switch typedef union unsigned void volatile while acos asin atan "
    "ceil cos cosh erf erfc exp expm1 fabs floor fmax fmin fmod hypot log log1p pow round sin "
    "sinh sqrt tan tanh trunc abs printf malloc free exit".split()
)

INTERFACE = """
/* The interface of CasADi's externals. An argument may be NULL, which stands for zeros. */

static const double @zeros[IN] = {0.0};
static const long long @x_shape[3] = {IN, 1, 1}; /* rows, columns, and 1 for a dense matrix */
static const long long @y_shape[3] = {OUT, 1, 1};
static const long long @jacobian_shape[3] = {OUT, IN, 1};

int NAME(const double **arg, double **res, long long *iw, double *w, int mem)
{
    (void)iw;
    (void)w;
    (void)mem;
    if (res[0]) {
        @predict(arg[0] ? arg[0] : @zeros, res[0]);
    }
    return 0;
}

long long @n_in(void)
{
    return 1;
}

long long @n_out(void)
{
    return 1;
}

const char *@name_in(long long i)
{
    return i == 0 ? "x" : 0;
}

const char *@name_out(long long i)
{
    return i == 0 ? "y" : 0;
}

const long long *@sparsity_in(long long i)
{
    return i == 0 ? @x_shape : 0;
}

const long long *@sparsity_out(long long i)
{
    return i == 0 ? @y_shape : 0;
}

int @work(long long *n_arg, long long *n_res, long long *n_iw, long long *n_w)
{
    *n_arg = 1;
    *n_res = 1;
    *n_iw = 0;
    *n_w = 0;
    return 0;
}

/* The Jacobian, column by column. The second argument, the outputs y, is not read. */
int jac_NAME(const double **arg, double **res, long long *iw, double *w, int mem)
{
    (void)iw;
    (void)mem;
    if (res[0]) {
        @jacobian(arg[0] ? arg[0] : @zeros, w, w + OUT);
        for (int j = 0; j < IN; ++j) {
            for (int i = 0; i < OUT; ++i) {
                res[0][j * OUT + i] = w[OUT + i * IN + j];
            }
        }
    }
    return 0;
}

long long jac_@n_in(void)
{
    return 2;
}

long long jac_@n_out(void)
{
    return 1;
}

const long long *jac_@sparsity_in(long long i)
{
    return i == 0 ? @x_shape : (i == 1 ? @y_shape : 0);
}

const long long *jac_@sparsity_out(long long i)
{
    return i == 0 ? @jacobian_shape : 0;
}

int jac_@work(long long *n_arg, long long *n_res, long long *n_iw, long long *n_w)
{
    *n_arg = 2;
    *n_res = 1;
    *n_iw = 0;
    *n_w = OUT + OUT * IN;
    return 0;
}
"""


def export_external(net: Network, path: "str | os.PathLike[str]", name: str | None = None) -> None:
    """Write the network as a C99 source, which `casadi.external` can load after compilation.

    The source is that of `Network.export_c` with `jacobian=True`, followed by the functions that
    CasADi calls. It computes in `double` for both dtypes. CasADi gets the value and the Jacobian
    from it, but no second derivatives. The header is written beside it.

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
    prefix = name
    if name is None and isinstance(path, str | os.PathLike):
        prefix = os.path.basename(os.fspath(path)).removesuffix(".c")
    if prefix in RESERVED:
        raise ValueError(f"name is {prefix!r}, which is taken in C; one such as net is wanted")
    if prefix in ("jac", "hess", "null") or (isinstance(prefix, str) and "__" in prefix):
        raise ValueError(
            f"name is {prefix!r}, which CasADi does not load; one such as net is wanted"
        )
    in_double = Network(copy.deepcopy(list(net.layers)), "float64")
    in_double.export_c(path, name, jacobian=True)
    with open(path, encoding="utf-8") as file:
        source = file.read()
    text = INTERFACE
    sizes = {"IN": str(net.in_features), "OUT": str(net.out_features)}
    for sign, value in {**sizes, "NAME": str(prefix), "@": f"{prefix}_"}.items():
        text = text.replace(sign, value)
    with atomic_file(path) as output:
        output.write((source + text).encode())
