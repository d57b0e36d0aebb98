"""A network as a file for other engines, checked before it is called done."""

from atrous.export.run import Exported as Exported
from atrous.export.run import export as export
