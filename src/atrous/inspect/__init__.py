"""What a network is made of, what it sees, and what it costs; and what came of a training."""

from atrous.inspect.branch_table import BranchRow as BranchRow
from atrous.inspect.branch_table import BranchTable as BranchTable
from atrous.inspect.branch_table import branch_table as branch_table
from atrous.inspect.inspection import Inspection as Inspection
from atrous.inspect.inspection import inspect_network as inspect_network
from atrous.inspect.table import LayerRow as LayerRow
from atrous.inspect.table import LayerTable as LayerTable
from atrous.inspect.table import TapRow as TapRow
from atrous.inspect.table import layer_table as layer_table
