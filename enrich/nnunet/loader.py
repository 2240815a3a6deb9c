"""nnU-Net's loader of batches, half of them synthetic; importing this imports nnU-Net."""

from typing import Any

import numpy as np
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from numpy.typing import NDArray


class HalfSynthetic(nnUNetDataLoader):  # type: ignore[misc]
    """Draws half of every batch from the real cases and half from the synthetic ones.

    Zhang et al. (CVPR 2018, footnote 2) do so against distraction by synthetic images of low quality; hence the odd
    case of an odd batch is a real one. Translated and reconstructed cases are synthetic alike. A data set without any
    is drawn from as nnU-Net does.
    """

    def __init__(self, data: Any, *arguments: Any, synthetic: frozenset[str], **options: Any) -> None:
        """Take nnU-Net's arguments, and the names of the synthetic cases, without any or with two cases a batch."""
        super().__init__(data, *arguments, **options)
        self.synthetic = [name for name in self.indices if name in synthetic]
        self.real = [name for name in self.indices if name not in synthetic]

    def get_indices(self) -> NDArray[np.str_]:
        """Draw the cases of a batch, (B,), with replacement.

        In random order, since nnU-Net centres the last ones of a batch on the target. Drawn from the global generator
        as all that nnU-Net draws.
        """
        if not self.synthetic:
            drawn: NDArray[np.str_] = super().get_indices()
            return drawn
        half = self.batch_size // 2
        halves = ((self.real, self.batch_size - half), (self.synthetic, half))
        names = np.concatenate([np.random.choice(*cases) for cases in halves])  # noqa: NPY002
        return np.random.permutation(names)  # noqa: NPY002
