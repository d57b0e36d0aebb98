"""Engines: what computes a network. One way in and one way out, whatever is inside."""

from atrous.fast.engines.automatic import AutomaticEngine as AutomaticEngine
from atrous.fast.engines.engine import ENGINES as ENGINES
from atrous.fast.engines.engine import Engine as Engine
from atrous.fast.engines.engine import ParallelEngine as ParallelEngine
from atrous.fast.engines.engine import available as available
from atrous.fast.engines.engine import open_engine as open_engine
from atrous.fast.engines.exported import ExportedModel as ExportedModel
