"""Model files, and the models that have a name."""

from atrous.weights.model_file import save_model as save_model
from atrous.weights.zoo import load_model as load_model
