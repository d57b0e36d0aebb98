"""Training: a recipe and a data set in, a run directory with a model file out."""

from atrous.train.run import Outcome as Outcome
from atrous.train.run import train as train
