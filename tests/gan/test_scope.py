from itertools import permutations

import pytest

from gan.scope import Scope

MODALITIES = ["ct", "t1", "t2"]


@pytest.mark.parametrize(
    ("scope", "trainings"),
    [
        (Scope.ALL, {"all": ("ct", "t1", "t2")}),
        (Scope.PAIR, {"ct-t1": ("ct", "t1"), "ct-t2": ("ct", "t2"), "t1-t2": ("t1", "t2")}),
        (
            Scope.ONE_TO_ALL,
            {"from-ct": ("ct", "t1", "t2"), "from-t1": ("t1", "ct", "t2"), "from-t2": ("t2", "ct", "t1")},
        ),
    ],
)
def test_trainings(scope, trainings):
    assert scope.trainings(MODALITIES) == trainings


def test_one_to_one_needs_a_training_a_direction():
    names = Scope.ONE_TO_ONE.trainings(MODALITIES)
    assert list(names)[:2] == ["ct-to-t1", "ct-to-t2"]
    assert len(names) == 6


@pytest.mark.parametrize("scope", Scope)
def test_the_trainings_cover_every_direction_once(scope):
    covered = [direction for names in scope.trainings(MODALITIES).values() for direction in scope.directions(names)]
    assert sorted(covered) == sorted(permutations(MODALITIES, 2))
