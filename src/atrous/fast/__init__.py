"""The same network, faster: rewrites that keep what it computes."""

import sys

# OpenVINO and NNCF report each conversion to their makers where this package, which they bring,
# can be imported; where it cannot, they stay silent. It has no other switch for one process.
sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]

from atrous.fast.optimized_model import OptimizedModel as OptimizedModel  # noqa: E402
from atrous.fast.rewriting import optimize as optimize  # noqa: E402
