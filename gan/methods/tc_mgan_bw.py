"""TC-MGAN bw (Xin et al., ISBI 2020, section 3.1): TC-MGAN whose segmentor goes on training.

After the generator, the segmentor steps: it lowers its Dice loss on fakes made anew by the generator that just stepped,
weight 0.7, and on real slices of the same modalities, weight 0.3 (the public code; the paper gives no numbers), at the
generator's learning rate and decay. It is in training mode throughout, also while it judges for the generator.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from torch import Tensor

from gan.batch import Batch
from gan.losses import soft_dice
from gan.methods import tc_mgan
from gan.methods.pix2pix import truth
from gan.methods.tc_mgan import TCMGAN, TCMGANSettings
from gan.player import Player
from gan.settings import Settings

WEIGHTS = tc_mgan.WEIGHTS | {"segmentation_fake": 0.7, "segmentation_real": 0.3}


@dataclass(frozen=True, kw_only=True)
class TCMGANbwSettings(TCMGANSettings):
    """What TC-MGAN bw can be told; the defaults are the paper's."""

    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)


class TCMGANbw(TCMGAN):
    """Generator, critic and a segmentor that plays along."""

    title = "TC-MGAN bw"
    differences = "classification loss"
    frozen = False
    settings: TCMGANbwSettings
    paper: ClassVar[Settings] = TCMGANbwSettings()

    def players(self) -> list[Player]:
        """Return the critic, the generator, then the segmentor, which steps as the generator does."""
        critic, generator = super().players()
        alike = replace(generator, network=self.segmentor, terms=self.segmentor_terms)
        return [critic, generator, replace(alike, name="segmentor", detached=True, anew=True)]

    def segmentor_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the segmentor lowers: what it misses in fakes, which bear no graph, and in real slices."""
        images = {"fake": fakes["image"], "real": truth(batch)}
        return {
            f"segmentation_{name}": soft_dice(self.segmentor(image, batch.target), batch.target_mask)
            for name, image in images.items()
        }
