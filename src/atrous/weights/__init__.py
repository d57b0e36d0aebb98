"""Model files, the models that have a name, and checkpoints of other libraries."""

from atrous.weights.conversion import Report as Report
from atrous.weights.conversion import convert as convert
from atrous.weights.hub import push_to_hub as push_to_hub
from atrous.weights.model_file import save_model as save_model
from atrous.weights.zoo import load_model as load_model
