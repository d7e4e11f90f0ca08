"""The report of a fit: how it read the columns, and what it measured."""

from dataclasses import dataclass
from typing import Any

from fastnn import _html
from fastnn.tabular.members import Member
from fastnn.tabular.objective import Objective


@dataclass(frozen=True, repr=False)
class Report:
    """The report of a fit, which can be printed or shown in a notebook.

    Attributes
    ----------
    columns : list
        How each column was read, as in `TableEncoder.columns_`.
    n_samples : int
        Rows of the table.
    n_held_out : int
        Rows that were held out. With several networks, each row is held out from one of them.
    metric : str
        The metric that chose the epochs.
    scores : list of float
        For each network the metric of its held-out rows in its best epoch; NaN without such rows.
    best_epochs : list of int
        The best epoch of each network, counted from 1.
    curves : list of dict of str to list of float
        For each network the training loss, "loss", and the metric, with one number per epoch.
    n_params : int
        Parameters of one network.
    seconds : float
        Duration of the fit.
    """

    columns: list[Any]
    n_samples: int
    n_held_out: int
    metric: str
    scores: list[float]
    best_epochs: list[int]
    curves: list[dict[str, list[float]]]
    n_params: int
    seconds: float

    @classmethod
    def of(
        cls, columns: list[Any], trained: list[Member], objective: Objective, n: int, seconds: float
    ) -> "Report":
        """Return the report of a fit on n rows."""
        scores = [
            member.curve[objective.metric][member.best_epoch - 1]
            if objective.metric in member.curve
            else float("nan")
            for member in trained
        ]
        return cls(
            columns,
            n,
            sum(len(member.held_out) for member in trained),
            objective.metric,
            scores,
            [member.best_epoch for member in trained],
            [member.curve for member in trained],
            trained[0].network.n_params,
            seconds,
        )

    def _summary(self) -> str:
        many = len(self.scores)
        networks = "1 network" if many == 1 else f"{many} networks"
        score = sum(self.scores) / many
        epochs = ", ".join(map(str, self.best_epochs))
        return (
            f"{self.n_samples:,} rows, {self.n_held_out:,} held out; {networks} of "
            f"{self.n_params:,} parameters; {self.seconds:.1f} s; best epoch {epochs}; "
            f"held-out {self.metric} {score:.4g}"
        )

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                str(column.name),
                column.kind,
                column.reading,
                f"{column.gaps:,}",
                f"{column.n_unique:,}",
            )
            for column in self.columns
        ]

    def __repr__(self) -> str:
        """Return a summary, and a line for each column."""
        header = ("column", "kind", "read as", "gaps", "values")
        lines = [header, *self._rows()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
        table = (
            "  ".join(
                cell.rjust(width) if i > 2 else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )
        return "\n".join([self._summary(), *table])

    def _repr_html_(self) -> str:
        """Return the summary and the columns as HTML, with the curves of the first network."""
        header = ("column", "kind", "read as", "gaps", "values")
        table = _html.table(self._summary(), header, self._rows(), n_texts=3)
        return table + _html.curves(self.curves[0], "epoch")
