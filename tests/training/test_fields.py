"""Fields of checkpoints: which values each kind allows, and what their errors say."""

import numpy as np
import pytest

from fastnn.training import fields


@pytest.mark.parametrize(
    ("field", "allowed", "refused"),
    [
        (fields.anything(), [None, [1], "text"], []),
        (fields.same(3), [3], [4, 3.0, True, None]),
        (fields.same(["a"]), [["a"]], [["b"], [], "a", None]),
        (fields.boolean(), [True, False], [0, 1, None, "True"]),
        (fields.integer(0, 6, 3), [0, 3, 6], [-3, 1, 9, 3.0, True, None]),
        (fields.number(0, 2), [0, 0.5, 2.0], [-1, 3, np.inf, np.nan, True, "1", 10**400]),
        (fields.list_of(fields.integer(0, 1), 2), [[0, 1]], [[0], [0, 2], (0, 1), None]),
        (
            fields.finite_array("f8", (2,)),
            [np.zeros(2)],
            [np.zeros(3), np.zeros(2, "f4"), np.array([0, np.nan]), [0.0, 0.0]],
        ),
        (fields.pcg64(), [np.random.default_rng(0).bit_generator.state], [{}, None, []]),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_which_values_a_field_allows(field, allowed, refused):
    assert all(field[0](value) for value in allowed)
    assert not any(field[0](value) for value in refused)


@pytest.mark.parametrize(
    ("order", "shuffled", "unshuffled"),
    [([0, 1, 2], True, True), ([2, 0, 1], True, False), ([0, 0, 1], False, False)],
)
def test_which_orders_are_allowed(order, shuffled, unshuffled):
    assert fields.is_order(np.array(order), shuffled=True) == shuffled
    assert fields.is_order(np.array(order), shuffled=False) == unshuffled


def test_errors_name_the_value():
    wanted = {"step": fields.integer(0, 9)}
    fields.demand_fields("trainer", {"step": 3}, wanted)
    for state, message in [
        ({}, "trainer.step is missing; an integer from 0 to 9 is wanted"),
        ({"step": -1}, "trainer.step is -1; an integer from 0 to 9 is wanted"),
        ({"step": np.zeros(2)}, r"trainer.step is of shape \(2,\), float64"),
        ({"step": 3, "more": 1}, r"trainer has unknown values \['more'\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            fields.demand_fields("trainer", state, wanted)
