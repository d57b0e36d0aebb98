"""How good a model is: one confusion matrix over a data set, and what follows from it."""

from atrous.evaluate.evaluation import Evaluation as Evaluation
from atrous.evaluate.run import evaluate as evaluate
