"""What a network was asked to be: enough to build the same one again."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[int, Field(ge=1, le=65535)]


class Blueprint(BaseModel):
    """The keywords of `create_model` that shape a network, checked and complete."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    backbone: str
    num_classes: int = Field(ge=1, le=65535)
    output_stride: int
    rates: tuple[Rate, ...] = Field(min_length=1, max_length=64)
    separable: bool
    separable_decoder: bool
    dropout: float = Field(ge=0, lt=1)
    in_channels: int = Field(ge=1, le=1024)
