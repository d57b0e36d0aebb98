"""What a network was asked to be: enough to build the same one again."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from atrous.models.conventions import Conventions

Rate = Annotated[int, Field(ge=1, le=65535)]
Unit = Annotated[float, Field(ge=0.25, le=65535)]
Scale = Annotated[float, Field(ge=0.1, le=4)]


class Blueprint(BaseModel):
    """The keywords of `create_model` that shape a network, checked and complete.

    `trained_output_stride` is that at which the weights learnt where cells lie, if it is another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    backbone: str
    num_classes: int = Field(ge=1, le=65535)
    output_stride: int
    pyramid: str = "aspp"
    rates: tuple[Rate | tuple[Rate, Rate], ...] = Field(max_length=64)
    multi_grid: tuple[Unit, ...] | None = Field(default=None, max_length=64)
    kernel_size: int = Field(default=3, ge=1, le=15)
    channels: int | None = Field(default=None, ge=1, le=65535)
    shared_kernel: bool = False
    image_pooling: bool = True
    separable: bool
    separable_decoder: bool
    aux_head: bool = False
    scales: tuple[Scale, ...] = Field(default=(1.0,), min_length=1, max_length=16)
    dropout: float = Field(ge=0, lt=1)
    in_channels: int = Field(ge=1, le=1024)
    conventions: Conventions = Conventions()
    trained_output_stride: Literal[4, 8, 16, 32] | None = None
