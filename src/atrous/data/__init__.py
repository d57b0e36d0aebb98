"""Pictures and labels: reading them safely, data sets, palettes, order and augmentation.

`atrous.data.transforms` needs torchvision, and is imported where training needs it.
"""

from atrous.data.dataset import Dataset as Dataset
from atrous.data.dataset import open_dataset as open_dataset
from atrous.data.folder import FolderDataset as FolderDataset
from atrous.data.images import FoundImage as FoundImage
from atrous.data.images import decode_image as decode_image
from atrous.data.images import find_images as find_images
from atrous.data.images import read_image as read_image
from atrous.data.images import read_mask as read_mask
from atrous.data.labels import IGNORE_INDEX as IGNORE_INDEX
from atrous.data.labels import ClassEntry as ClassEntry
from atrous.data.labels import LabelScheme as LabelScheme
from atrous.data.palettes import default_palette as default_palette
from atrous.data.sample import Sample as Sample
from atrous.data.shapes import ShapesDataset as ShapesDataset
