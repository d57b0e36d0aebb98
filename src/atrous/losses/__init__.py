"""What training makes small: pure functions of logits on any grid and labels at full size."""

from atrous.losses.cross_entropy import upsampled_cross_entropy as upsampled_cross_entropy
from atrous.losses.dice import dice_loss as dice_loss
from atrous.losses.focal import focal_loss as focal_loss
from atrous.losses.lovasz import lovasz_softmax as lovasz_softmax
