"""One network computed in several ways, side by side on the machine at hand."""

from atrous.bench.choice import Choice as Choice
from atrous.bench.comparison import Comparison as Comparison
from atrous.bench.comparison import Row as Row
from atrous.bench.interleaved import compare as compare
from atrous.bench.machine import machine_facts as machine_facts
from atrous.bench.run import bench as bench
