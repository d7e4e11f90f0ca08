"""How a network appears in a notebook."""

from fastnn.network.base import NetworkBase

MOST_ROWS = 20  # of the table; a longer network is shortened in the middle


class Display(NetworkBase):
    """The method of `Network` that notebooks call to show it."""

    def _repr_html_(self) -> str:
        """Return a table of the layers with their output widths and numbers of parameters."""
        from fastnn import _html  # here, so that `import fastnn` stays fast

        rows, width = [], self.in_features
        for i, layer in enumerate(self._layers):
            width = layer.width_after(width)
            name = layer.summary_name() + ("" if layer.trainable else " (frozen)")
            rows.append((str(i), name, f"{width:,}", f"{layer.n_params:,}"))
        if len(rows) > MOST_ROWS:
            half = MOST_ROWS // 2
            rows[half:-half] = [("", f"… {len(rows) - 2 * half:,} more layers", "", "")]
        n_params = sum(layer.n_params for layer in self._layers)
        caption = (
            f"{type(self).__name__}: {self.in_features:,} inputs, {self.out_features:,} outputs, "
            f"{n_params:,} parameters, {self.dtype}"
        )
        return _html.table(caption, ("", "layer", "output", "parameters"), rows, n_texts=2)
