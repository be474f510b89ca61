"""The tree of exceptions: what it holds, what each is besides, and that its picture is true."""

import re

import pytest

from throughtime import errors

ALSO = {
    "ArgumentError": ValueError,
    "ArgumentTypeError": TypeError,
    "BackendError": ValueError,
    "DataError": ValueError,
    "MissingExtraError": ImportError,
    "ModelFolderError": ValueError,
    "NotFittedError": ValueError,
}


def test_the_public_names_are_the_exceptions() -> None:
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(errors.__all__) == classes == {"ThroughtimeError", *ALSO}


@pytest.mark.parametrize("name", sorted(ALSO))
def test_each_is_one_of_ours_and_a_builtin(name: str) -> None:
    kind = getattr(errors, name)
    assert kind.__bases__ == (errors.ThroughtimeError, ALSO[name])
    with pytest.raises(ALSO[name], match="T = 12"):
        raise kind("expected lengths up to T = 12")


def test_the_base_is_caught_by_its_own_name_only() -> None:
    assert errors.ThroughtimeError.__bases__ == (Exception,)


def test_the_picture_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = dict(re.findall(r"^[├└]── (\w+) .*\(also an? (\w+)\)$", errors.__doc__, re.MULTILINE))
    assert drawn == {name: kind.__name__ for name, kind in ALSO.items()}


@pytest.mark.parametrize("name", ["ThroughtimeError", *sorted(ALSO)])
def test_each_says_what_it_is_for(name: str) -> None:
    assert getattr(errors, name).__doc__.endswith(".")
