"""What a network is made of, layer by layer, and what it costs."""

from atrous.inspect.table import LayerRow as LayerRow
from atrous.inspect.table import LayerTable as LayerTable
from atrous.inspect.table import TapRow as TapRow
from atrous.inspect.table import layer_table as layer_table
