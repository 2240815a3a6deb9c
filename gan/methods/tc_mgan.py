"""TC-MGAN (Xin et al., ISBI 2020): MGAN whose fakes must show the tumor where it is.

A segmentor S, trained before on real slices of the target modalities (`conditional_segmentor`), reads the fake and its
modality; the generator lowers the Dice loss of what S finds (eq. 4), weight 50. S itself stands still. The rest is
MGAN's.

The public code is that of TC-MGAN bw, where S goes on training. Our choice for a frozen S: it is in eval mode, so that
its batch norm uses the statistics of the real slices, and these stand still too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from torch import Tensor

from gan.batch import Batch
from gan.losses import soft_dice
from gan.methods import mgan
from gan.methods.conditional_segmentor import Segmentor
from gan.methods.mgan import MGAN, MGANSettings
from gan.settings import Settings

WEIGHTS = mgan.WEIGHTS | {"segmentation": 50.0}


@dataclass(frozen=True, kw_only=True)
class TCMGANSettings(MGANSettings):
    """What TC-MGAN can be told; the defaults are the paper's."""

    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)
    segmentor_width: int = 64  # the width that the segmentor was trained with

    @property
    def reads_target(self) -> bool:
        """Whether a term reads the target."""
        return True


class TCMGAN(MGAN):
    """Generator, critic and segmentor."""

    title = "TC-MGAN"
    labels_used = "all modalities"
    differences = "classification loss; the public code is of TC-MGAN bw"
    pretrained: ClassVar[Mapping[str, str]] = {"segmentor": "conditional_segmentor"}
    frozen: ClassVar[bool] = True  # the segmentor
    settings: TCMGANSettings
    paper: ClassVar[Settings] = TCMGANSettings()

    def __init__(self, modalities: int, image_size: int, settings: TCMGANSettings) -> None:
        super().__init__(modalities, image_size, settings)
        self.segmentor = Segmentor(self.kinds, settings.segmentor_width).requires_grad_(not self.frozen)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the training mode of all but a frozen segmentor, which always judges as it learned to."""
        super().train(mode)
        if self.frozen:
            self.segmentor.eval()
        return self

    def generator_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the generator lowers: MGAN's terms and what the segmentor misses in a fake."""
        found = self.segmentor(fakes["image"], batch.target)
        return super().generator_terms(batch, fakes) | {"segmentation": soft_dice(found, batch.target_mask)}
