"""What training makes small."""

from atrous.losses.cross_entropy import upsampled_cross_entropy as upsampled_cross_entropy
