"""Augmentations: batched, stateless, the same in eager mode, tf.function, tf.data and XLA.

An augmentation is a callable `(batch, key) -> batch`. The key is its only randomness, so what is
done to an example depends on the key and the example's place in the batch, and a resumed run
repeats it. Each op of a chain must be given a key of its own: ops that share one draw the same
numbers, and a flip would then be tied to a shift.

The batch is the global one, before it is divided over replicas: `image` float32 [B, H, W, C] in
[0, 1], which it stays, of known H, W and C; `label` int32 [B], or float32 [B, K] once `Mixup` or
`CutMix` have mixed it; `weight` float32 [B]. Keys that an op does not change pass through.

Reading order: `random_flip.py` (the shortest), `padded_crop.py`, `affine.py` (rotation, shift,
zoom, shear), `brightness_contrast.py`, `cutout.py`, `mixing.py` (mixup, CutMix), and what they
share: `draws.py`, `boxes.py`.
"""

from trainer.data.augment.affine import RandomAffine
from trainer.data.augment.brightness_contrast import RandomBrightnessContrast
from trainer.data.augment.cutout import Cutout
from trainer.data.augment.mixing import CutMix, Mixup
from trainer.data.augment.padded_crop import PaddedCrop
from trainer.data.augment.random_flip import RandomFlip

__all__ = [
    "CutMix",
    "Cutout",
    "Mixup",
    "PaddedCrop",
    "RandomAffine",
    "RandomBrightnessContrast",
    "RandomFlip",
]
