"""The method of a network that takes one step of an optimizer."""

import threading
from collections.abc import Callable
from typing import Any

from fastnn import _checks
from fastnn.layers import composition
from fastnn.network.base import NetworkBase
from fastnn.optimizers import OPTIMIZERS, Optimizer, OptimizerState
from fastnn.optimizers.groups import factors_of
from fastnn.training import DivergenceError, History
from fastnn.training.steps import SingleSteps


class Stepping(NetworkBase):
    """The method of `Network` that trains it with gradients that the user computes."""

    _optimizer_state: OptimizerState
    _training: dict[int, object]
    _steps: SingleSteps | None = None  # for the last optimizer; not copied, saved or pickled
    _beginning: "Callable[[], threading.RLock]"
    _refuse_while_training: Callable[[], None]
    _demand_finite_params: Callable[[], None]

    def step(
        self,
        grads: Any,
        optimizer: Optimizer,
        *,
        total_steps: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        """Change the parameters by one step of an optimizer, for a gradient of your own.

        Everything is as in `fit`: the formulas, clipping, penalties, groups and frozen layers. The
        state of the optimizer is `optimizer_state`. It continues over steps, fits, copies and
        pickles as long as the kind of optimizer is the same. `net.grads` is not changed.

        Parameters
        ----------
        grads : array_like (n_params,)
            The gradient in the order of `params`: `net.grads` after `backward`, the result of
            `loss_and_grad`, or an array of your own. The step lowers the function that has this
            gradient.
        optimizer : Optimizer
            SGD, Adam, AdamW, RMSprop or Lion. Make it once, and pass the same object in each step.
        total_steps : int, optional
            The number of steps in all, at least 1, for a schedule that depends on it, such as
            CosineDecay and OneCycle.
        steps_per_epoch : int, optional
            The number of steps that count as an epoch, at least 1, for a schedule that changes by
            epochs, such as StepDecay.

        Raises
        ------
        DivergenceError
            If the step would make a parameter NaN or infinite. The parameters are as before, and
            the state of the optimizer is reset.
        RuntimeError
            If another thread is training this network.
        ValueError, TypeError
            If an argument is invalid. If the schedule needs a number of steps that is missing, has
            ended, or follows a metric, as ReduceOnPlateau does.

        Notes
        -----
        A schedule is at its first rate in the first step after the construction, after a fit, and
        after a step with another schedule.
        """
        steps = self._steps
        if (
            steps is None
            or steps.optimizer is not optimizer
            or steps.state is not self._optimizer_state
            or steps.lengths != (total_steps, steps_per_epoch)
        ):
            steps = None
        done = None if steps is None else steps.take(grads, self._training)
        if done is None:
            done = self._checked_step(grads, optimizer, total_steps, steps_per_epoch, steps)
        if not done:
            step = self._optimizer_state.step
            self._optimizer_state.forget()
            raise DivergenceError(0, step, History({"loss": [], "seconds": []}), single=True)

    def _checked_step(
        self,
        grads: Any,
        optimizer: Any,
        total_steps: Any,
        steps_per_epoch: Any,
        steps: SingleSteps | None,
    ) -> bool | None:
        """Check all arguments, and take the step; `steps` are those of an earlier call, or None."""
        if type(optimizer) not in OPTIMIZERS or not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"optimizer is {optimizer!r}; one that steps by a gradient is wanted: SGD(…), "
                f"Adam(…), AdamW(…), RMSprop(…) or Lion(…)"
            )
        params = self._model.params
        gradient = _checks.shaped_array(grads, "grads", self.dtype, params.shape)
        gradient = gradient.copy() if gradient is grads else gradient
        for name, number in (("total_steps", total_steps), ("steps_per_epoch", steps_per_epoch)):
            if number is not None:
                _checks.integer(number, name, at_least=1)
        with self._beginning():
            self._refuse_while_training()
            self._training.clear()  # the fits in it belong to the process that forked
            self._demand_finite_params()
            before = self._optimizer_state
            try:
                if steps is None:
                    leaves = list(composition.leaves(self._layers))
                    parts = [(part.n_params, part.trainable) for part in leaves if part.n_params]
                    factors = factors_of(optimizer, self._layers)
                    state = before.continued_for(optimizer, parts, self.dtype, factors)
                    self._optimizer_state = state
                    lengths = (total_steps, steps_per_epoch)
                    steps = SingleSteps(self._model, leaves, optimizer, state, factors, lengths)
                done = steps.take(gradient, self._training)
            except BaseException:
                self._optimizer_state = before
                raise
            self._steps = steps
            return done
