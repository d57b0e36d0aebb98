import pickle

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from atrous.errors import (
    AtrousError,
    DataError,
    DivergedError,
    MissingExtraError,
    RecipeError,
    ResourceError,
    SomeInputsFailedError,
    UsageError,
    explain,
)


@pytest.mark.parametrize(
    ("kind", "code", "builtin"),
    [
        (AtrousError, 1, Exception),
        (UsageError, 2, ValueError),
        (RecipeError, 2, ValueError),
        (DataError, 3, ValueError),
        (DivergedError, 4, ArithmeticError),
        (ResourceError, 5, OSError),
        (SomeInputsFailedError, 6, Exception),
    ],
)
def test_each_error_has_its_exit_code_and_is_what_python_would_raise(kind, code, builtin):
    error = kind("a.png: too dark; brighten it")
    assert error.exit_code == code
    assert isinstance(error, AtrousError)
    assert isinstance(error, builtin)
    assert str(error) == "a.png: too dark; brighten it"


def test_a_missing_extra_names_its_cure():
    error = MissingExtraError("tensorboard", "train")
    assert str(error) == "tensorboard is not installed: pip install 'atrous[train]'"
    assert error.exit_code == 2
    assert isinstance(error, ImportError)


@pytest.mark.parametrize("kind", [UsageError, DataError, ResourceError])
def test_errors_cross_from_one_process_to_another(kind):
    copy = pickle.loads(pickle.dumps(kind("a.png: too dark")))  # noqa: S301, our own bytes
    assert type(copy) is kind
    assert str(copy) == "a.png: too dark"


class Inner(BaseModel):
    rates: tuple[int, ...] = ()

    @field_validator("rates")
    @classmethod
    def _check(cls, rates: tuple[int, ...]) -> tuple[int, ...]:
        if len(rates) > 2:
            raise ValueError("expected at most two")
        return rates


class Outer(BaseModel):
    inner: Inner = Inner()
    size: int = Field(default=1, ge=1)


def complaint(**values) -> str:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    return explain(caught.value)


def test_a_complaint_says_where_what_was_expected_and_what_came():
    assert complaint(size=0) == "size: should be greater than or equal to 1, got '0'"
    assert complaint(inner={"rates": ["x"]}).startswith("inner.rates.0: should be a valid integer")
    assert complaint(inner={"rates": [1, 2, 3]}).startswith("inner.rates: expected at most two")


def test_a_complaint_is_one_line_and_not_long():
    text = complaint(size="\n" * 500)
    assert "\n" not in text
    assert len(text) < 300


def test_a_complaint_about_the_whole_has_a_name_too():
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(3)
    assert explain(caught.value).startswith("value: ")
