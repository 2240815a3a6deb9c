"""A history of fakes, for critics."""

import torch
from torch import Tensor, nn

from gan.processes import gathered, own_rows


class Pool(nn.Module):
    """The fakes that a critic sees: new ones and, once the pool is full, old ones as often.

    Source: Shrivastava et al., "Learning from simulated and unsupervised images through adversarial training", CVPR
    2017, section 2.3, in the version of CycleGAN's public code. The random draws are the CPU's on every device.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, image_size: int) -> None:
        """Make room for `size` images (1, `image_size`, `image_size`)."""
        super().__init__()
        self.register_buffer("images", torch.zeros(size, 1, image_size, image_size))
        self.register_buffer("filled", torch.tensor(0))

    def forward(self, fakes: Tensor) -> Tensor:
        """Return for each of `fakes` (B, 1, H, W) an image to show, without a graph.

        While the pool fills up, this is the fake itself, which is kept. Then it is, each with probability one half, the
        fake or one of the kept images, which the fake replaces.
        """
        shown = []
        for fake in gathered(fakes):
            image, filled = fake, int(self.filled)
            if filled < len(self.images):
                self.images[filled] = fake
                self.filled += 1
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(len(self.images), ()))
                image = self.images[place].clone()
                self.images[place] = fake
            shown.append(image)
        return own_rows(torch.stack(shown))
