"""The fit loop over several ranks: what rank 0 does for all of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.callbacks import Callback
from fastnn.distributed.full_batch import LedTrainer
from fastnn.distributed.ranks import Ranks
from fastnn.distributed.rows import SharedData
from fastnn.distributed.trainer import DistributedTrainer
from fastnn.losses import is_built_in
from fastnn.model import Model
from fastnn.optimizers import OptimizerState
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.training import checkpoint_schema
from fastnn.training.checkpoints import Checkpoints, Parts
from fastnn.training.loop import FitLoop
from fastnn.training.settings import FitSettings
from fastnn.training.trainers import TrainerPart
from fastnn.training.validation import Validation


class DistributedLoop(FitLoop):
    """One fit on one of the ranks.

    All ranks take the same way through the loop. The callbacks and the metrics belong to rank 0;
    the other ranks have callbacks that do nothing.
    """

    def __init__(
        self,
        ranks: Ranks,
        deterministic: bool,
        sync_every: int,
        net: Any,
        model: Model,
        data: SharedData,
        settings: FitSettings,
        optimizer_state: OptimizerState,
        validation: Validation | None,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.ranks, self.deterministic, self.sync_every = ranks, deterministic, sync_every
        own = {name: v for name, v in optimizer_state.state().items() if name != "arrays"}
        own = ranks.exchange("the optimizer's state", own)[0]
        ranks.share(model.params, model.constants, optimizer_state.arrays)
        optimizer_state.restore({**own, "arrays": optimizer_state.arrays})
        if validation is not None:
            validation = SharedValidation.of_all(ranks, validation)
        super().__init__(net, model, data, settings, optimizer_state, validation, checkpoints)

    def make_trainer(self) -> TrainerPart:
        """Return the trainer of this rank."""
        assert isinstance(self.data, SharedData)
        if isinstance(self.settings.optimizer, FullBatchOptimizer):
            led = LedTrainer(self.ranks, self.model, self.data, self.settings, self.optimizer_state)
            fields = checkpoint_schema.full_batch_trainer_fields
            return TrainerPart(led, fields, self.model, self.optimizer_state)
        trainer = DistributedTrainer(
            self.ranks, self.model, self.data, self.settings, self.optimizer_state,
            self.state.generator, self.deterministic, self.sync_every,
        )  # fmt: skip
        fields = checkpoint_schema.stepwise_trainer_fields
        if self.data.n_samples is None:
            fields = checkpoint_schema.streams_trainer_fields
        return TrainerPart(trainer, fields, self.model, self.optimizer_state)

    def run(self) -> None:
        """Train until the epochs are complete, or a callback stops it."""
        self.ranks.exchange("the start", None)
        self.ranks.starting = False
        super().run()

    def call_each(self, call: Callable[[Callback], bool | None]) -> None:
        """Call the callbacks on rank 0; the other ranks get what they changed."""
        if not self.settings.callbacks:
            return

        call_each = super().call_each

        def work() -> tuple[bool, bool]:
            call_each(call)
            return self.state.stopped, self.paused

        self.state.stopped, self.paused = self.ranks.first("the callbacks", work)
        self.ranks.share(self.model.params, self.model.constants)

    def _raise_divergence(self) -> None:
        try:
            super()._raise_divergence()
        except ArithmeticError as error:
            self.ranks.agree(error)


class SharedCheckpoints(Checkpoints):
    """Checkpoints that rank 0 writes."""

    def __init__(self, ranks: Ranks, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ranks = ranks

    def due(self, epoch: int | None) -> bool:
        """Whether it is time to write, by the clock of rank 0."""
        if self._seconds is None:
            return super().due(epoch)
        return self.ranks.exchange("the time", super().due(epoch))[0]

    def write(self, net: Any, parts: Parts) -> None:
        """Replace the file with the present state in one step."""
        write = super().write
        self.ranks.first("the checkpoint", lambda: write(net, parts))


class SharedValidation(Validation):
    """Held-out samples of all ranks. Each computes its outputs, and rank 0 the metrics."""

    ranks: Ranks

    @classmethod
    def of_all(cls, ranks: Ranks, own: Validation) -> "SharedValidation":
        """Return a validation with the features of this rank and, on rank 0, all targets."""
        gathered = {}
        for name in ("target", "weights", "given"):
            parts = ranks.comm.gather(getattr(own, name))
            if parts is not None:
                gathered[name] = None if parts[0] is None else np.concatenate(parts)
        found = cls(**{**vars(own), **gathered})
        found.ranks = ranks
        return found

    def measure(self, model: Model, n_threads: int) -> dict[str, float]:
        """Return the metrics by their names; they are those of rank 0."""
        if not self.ranks.is_first:
            assert is_built_in(self.loss)
            plan, _ = self.loss.under(model.plan)
            self._outputs(replace(model, plan=plan), n_threads)
        measure = super().measure
        return self.ranks.first("the metrics", lambda: measure(model, n_threads))

    def _outputs(self, model: Model, n_threads: int) -> Array:
        own = super()._outputs(model, n_threads)
        parts = self.ranks.comm.gather(own)
        return own if parts is None else np.concatenate(parts)
