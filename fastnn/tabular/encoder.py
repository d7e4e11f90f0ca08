"""`TableEncoder`: it turns a table into a matrix of numbers for a network."""

import dataclasses
import warnings
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from fastnn._checks import frames
from fastnn._core.arrays import Array
from fastnn.tabular.codings import Coding, coding_from, names_of, outputs_of, placed, state_of
from fastnn.tabular.columns import Column, Found, equal, examine
from fastnn.tabular.few_rows import cells_of, write_cells
from fastnn.tabular.matrix import MatrixPlan, plan_of
from fastnn.tabular.reading import read
from fastnn.tabular.tables import Table, place, positions_of, table_of


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode the columns of a table as numbers, as RealMLP does.

    The output has three blocks: numeric outputs, one-hot outputs, and codes for a
    `CategoricalEmbedding`.

    - A number becomes one output: the median is subtracted, and the difference is divided by the
      interquartile range and smoothly clipped to (-3, 3). A gap becomes the median.
    - A column of few categories becomes one-hot outputs. Two categories share one output, 1 and -1.
      For gaps and for values that training did not have, all outputs are 0. Then the outputs are
      scaled like numbers.
    - A column of many categories becomes a column of codes: 1, 2, … in the order of the texts, and
      0 for gaps and for values that training did not have.
    - A date becomes its time in days, and the sine and cosine of the hour, of the weekday and of
      the day of the year, each only if it varies. All are scaled like numbers.

    Texts, booleans and categorical columns are categories. Constant columns, duplicates of other
    columns and IDs have no outputs. `columns_` says how each column was read.

    Parameters
    ----------
    max_one_hot : int, default 9
        The largest number of categories that are coded one-hot. The gap counts as a category, also
        if no row has one.
    categorical : list of str or int, optional
        Columns to read as categories: names in a data frame, positions in an array. They are never
        IDs. By default the values of a column decide how it is read.
    numeric : list of str or int, optional
        Columns to read as numbers. Their texts must be numbers. They are never IDs.
    missing : {"auto", "median"}, default "auto"
        "auto" adds an output to the one-hot block for each column of numbers or dates that has gaps
        in training. It tells where the gaps are. "median" adds no such outputs.
    drop : list of str or int, default ()
        Columns that are ignored.
    dtype : {float32, float64}, default float32
        The dtype of the output.

    Attributes
    ----------
    columns_ : list of Column
        For each column of the table: its name, kind, gaps, number of distinct values, how it was
        read, and the places of its outputs.
    n_numeric_, n_one_hot_ : int
        The widths of the first two blocks.
    cardinalities_ : list of int
        The number of codes of each column of the third block, with the code 0.
    n_features_in_ : int
        The number of columns of the table.
    feature_names_in_ : ndarray of str
        Their names; not set if the table had none.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart 2024, "Better by default: strong pre-tuned MLPs and boosted
    trees on tabular data".

    Examples
    --------
    >>> encoder = TableEncoder().fit([[1.0, "red"], [2.0, "blue"], [4.0, None]])
    >>> [column.kind for column in encoder.columns_]
    ['numeric', 'category']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "max_one_hot": [Interval(Integral, 0, None, closed="left")],
        "categorical": ["array-like", None],
        "numeric": ["array-like", None],
        "missing": [StrOptions({"auto", "median"})],
        "drop": ["array-like"],
        "dtype": "no_validation",
    }

    def __init__(
        self,
        max_one_hot: int = 9,
        categorical: Any = None,
        numeric: Any = None,
        missing: str = "auto",
        drop: Any = (),
        dtype: Any = np.float32,
    ) -> None:
        self.max_one_hot = max_one_hot
        self.categorical = categorical
        self.numeric = numeric
        self.missing = missing
        self.drop = drop
        self.dtype = dtype

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> "TableEncoder":
        """Find out what each column is, and learn its coding.

        Parameters
        ----------
        X : data frame or array_like (n_samples, n_features)
            A frame of pandas or polars, an Arrow table, an array, a structured array, or a list of
            rows. At least two rows.
        y : object
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If X is no table, or a value is no number, text, boolean or date.
        ValueError
            If X is empty or has one row, two columns have the same name, a number is infinite, an
            argument names a column that does not exist, two arguments name the same column, a text
            of a column in `numeric` is no number, or no column has outputs.

        Warns
        -----
        UserWarning
            If a column of integers is dropped as an ID.
        """
        self._validate_params()
        if np.dtype(self.dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype is {self.dtype!r}; float32 or float64 is wanted")
        table = table_of(X)
        if table.n_rows == 1:
            raise ValueError("X has 1 sample; a fit needs at least two")
        roles = self._roles(table)
        found: list[Found] = []
        for i in range(len(table.names)):
            found.append(self._examined(table, i, roles[i]))
        # IDs are taken out first: otherwise a column equal to an ID would be a duplicate of it
        self._set(table, self._without_duplicates(table, _without_ids(found)))
        return self

    def _roles(self, table: Table) -> list[str]:
        roles = ["auto"] * len(table.names)
        for argument, role in (
            ("categorical", "categorical"),
            ("numeric", "numeric"),
            ("drop", "dropped"),
        ):
            for i in positions_of(getattr(self, argument), table, argument):
                if roles[i] not in ("auto", role):
                    raise ValueError(
                        f"column {table.names[i]!r} is named in {argument} and in another of the "
                        f"arguments categorical, numeric and drop"
                    )
                roles[i] = role
        return roles

    def _examined(self, table: Table, i: int, role: str) -> Found:
        name = table.names[i]
        if role == "dropped":
            return Found(Column(name, "dropped", 0, 0, "named in drop"))
        content = read(table.column(i), place(name))
        gaps = self.missing == "auto"
        return examine(content, i, name, place(name), role, self.max_one_hot, gaps)

    def _without_duplicates(self, table: Table, found: list[Found]) -> list[Found]:
        """Return the columns, without outputs for those equal to an earlier one with outputs."""
        changed = list(found)
        alike: dict[Any, list[int]] = {}  # the columns with each key
        for i, one in enumerate(found):
            if one.key is None:
                continue
            first = self._first_equal(table, i, alike.get(one.key, []))
            if first is None:
                alike.setdefault(one.key, []).append(i)
            else:
                reason = f"equal to column {table.names[first]!r}"
                changed[i] = one.without_outputs("duplicate", reason)
        return changed

    def _first_equal(self, table: Table, i: int, others: list[int]) -> int | None:
        name = place(table.names[i])
        for j in others:
            other = read(table.column(j), place(table.names[j]))
            if equal(other, read(table.column(i), name), name):
                return j
        return None

    def _set(self, table: Table, found: list[Found]) -> None:
        codings = [one.coding for one in found if one.coding is not None]
        if not codings:
            raise ValueError(
                "X has no column that can be used: "
                + "; ".join(
                    f"column {one.column.name!r}: {one.column.reading}" for one in found[:5]
                )
            )
        self._codings, self.n_numeric_, self.n_one_hot_, self.cardinalities_ = placed(codings)
        exact = 2 ** (np.finfo(self.dtype).nmant + 1)
        if max(self.cardinalities_, default=0) > exact:
            raise ValueError(f"a column has more than {exact} categories; dtype=float64 is wanted")
        outputs = {coding.position: tuple(outputs_of(coding)) for coding in self._codings}
        self.columns_ = [
            dataclasses.replace(one.column, outputs=outputs.get(i, ()))
            for i, one in enumerate(found)
        ]
        self.n_features_in_ = len(found)
        self.__dict__.pop("feature_names_in_", None)
        if table.named:
            self.feature_names_in_ = np.array(table.names, dtype=object)
        self._names = list(table.names) if table.named else None
        self._output_dtype = np.dtype(self.dtype).name
        self._plan: MatrixPlan | None = plan_of(self._codings, self.n_features_in_)

    # ------------------------------------------------------------------ encoding

    def transform(self, X: Any) -> Any:
        """Return the table as numbers (n_samples, n_outputs).

        Parameters
        ----------
        X : data frame or array_like (n_samples, n_features)
            The columns of training. A frame may have them in another order.

        Returns
        -------
        ndarray (n_samples, n_outputs), or the container that `set_output` asks for

        Raises
        ------
        TypeError, ValueError
            If columns are missing or additional, or a value is of another kind than in training.
            The message names the column, the row and the value.
        sklearn.exceptions.NotFittedError
            If the encoder is not fitted.
        """
        check_is_fitted(self)
        return self.encode(X)

    def encode(self, X: Any) -> Array:
        """Return the array of `transform`, whatever `set_output` asks for; fast on few rows.

        The argument and the errors are those of `transform`, but the encoder must be fitted.
        """
        width = self.n_numeric_ + self.n_one_hot_ + len(self.cardinalities_)
        plan, names = self._plan, self._names
        if type(X) is np.ndarray and names is None and plan is not None and plan.alone:
            encoded = plan.encoded(X, self.n_features_in_, self._output_dtype)
            if encoded is not None:
                return encoded
        elif names is not None and (cells := cells_of(X, names)) is not None:
            out = np.empty((len(cells), width), self._output_dtype)
            if write_cells(cells, self._codings, plan, out):
                return out
        table = table_of(X)
        places = self._places(table)
        out = np.empty((table.n_rows, width), self._output_dtype)
        for coding in self._codings:
            i = places[coding.position]
            name = place(table.names[i])
            coding.write(read(table.column(i), name), name, out)
        return out

    def _places(self, table: Table) -> list[int]:
        """Return where each column of training is in a table, or raise."""
        wanted = self._names
        if wanted and table.named:
            if set(wanted) != set(table.names):
                frames.same_names(table.names, wanted)
            index = {name: i for i, name in enumerate(table.names)}
            return [index[name] for name in wanted]
        if len(table.names) != self.n_features_in_:
            raise ValueError(
                f"X has {len(table.names)} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        if wanted or table.named:
            has, fitted = ("does not have valid", "with") if wanted else ("has", "without")
            warnings.warn(
                f"X {has} feature names, but {type(self).__name__} was fitted {fitted} feature "
                f"names",
                stacklevel=4,
            )
        return list(range(self.n_features_in_))

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the outputs (n_outputs,).

        The output of a number, and a column of codes, have the name of the table's column. A
        one-hot output adds the category, as in "colour_red". An output of a date adds the part, as
        in "day_weekday_sin". The output that tells where the gaps of the column "age" are is
        "missingindicator_age".

        Parameters
        ----------
        input_features : array_like of str (n_features,), optional
            Names for the columns of a table that has none, in place of "x0", "x1", …
        """
        check_is_fitted(self)
        given = _check_feature_names_in(self, input_features)
        names = np.empty(self.n_numeric_ + self.n_one_hot_ + len(self.cardinalities_), dtype=object)
        for coding in self._codings:
            names[outputs_of(coding)] = names_of(coding, given[coding.position])
        return names

    # ------------------------------------------------------------------ saving

    def to_state(self) -> dict[str, Any]:
        """Return the fitted encoder as a dict of texts, numbers, lists, dicts and arrays.

        `from_state` makes the encoder from this dict. The arrays may become lists, as in JSON.
        """
        check_is_fitted(self)
        arguments = self.get_params() | {"dtype": self._output_dtype}
        for argument in ("categorical", "numeric", "drop"):
            if arguments[argument] is not None:
                arguments[argument] = np.asarray(arguments[argument], dtype=object).tolist()
        return {
            "format": 1,
            "arguments": arguments,
            "feature_names": self._names,
            "columns": [
                dataclasses.asdict(column) | {"outputs": list(column.outputs)}
                for column in self.columns_
            ],
            "codings": [state_of(coding) for coding in self._codings],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "TableEncoder":
        """Return the fitted encoder whose `to_state` returned the dict.

        Raises
        ------
        ValueError
            If the dict has another format.
        """
        if state.get("format") != 1:
            raise ValueError(f"the encoder's state has format {state.get('format')!r}; 1 is wanted")
        encoder = cls(**state["arguments"] | {"dtype": np.dtype(state["arguments"]["dtype"]).type})
        names = state["feature_names"]
        found: list[Found] = []
        codings: dict[int, Coding] = {}
        for described in state["codings"]:
            coding = coding_from(described)
            codings[coding.position] = coding
        for i, fields in enumerate(state["columns"]):
            found.append(
                Found(Column(**fields | {"outputs": tuple(fields["outputs"])}), codings.get(i))
            )
        labels = list(range(len(found))) if names is None else names
        encoder._set(Table(labels, names is not None, 0, lambda i: None), found)
        return encoder


def _without_ids(found: list[Found]) -> list[Found]:
    """Return the columns, without outputs for IDs; if only IDs have outputs, as numeric ones."""
    ids = [i for i, one in enumerate(found) if one.column.kind == "id" and one.coding is not None]
    changed = list(found)
    if len(ids) == sum(one.coding is not None for one in found):
        for i in ids:
            column = dataclasses.replace(found[i].column, kind="numeric")
            changed[i] = dataclasses.replace(found[i], column=column)
        return changed
    for i in ids:
        changed[i] = found[i].without_outputs("id", found[i].column.reading)
    if ids:
        names = [found[i].column.name for i in ids]
        warnings.warn(
            f"X has a different integer in each row of the columns {names}, which are dropped as "
            f"IDs; numeric={names} keeps them",
            stacklevel=3,
        )
    return changed
