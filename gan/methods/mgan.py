"""MGAN (Xin et al., ISBI 2020): pix2pix with one network for all targets of a source, from aligned scans.

Beside the source, the generator reads one-hot maps of the wanted modality (section 2.2), one map a target, none for
the source; the critic also names the modality of the pair's first image, real (eq. 2) or fake (eq. 3), weight 10. Each
slice of a batch is wanted in a random target. The rest is pix2pix's, and so are its reductions.

Paper and public code, which is TC-MGAN bw's, differ in the classification: −log D of a softmax (paper), binary
cross-entropy summed over the targets (code): `classification`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import Tensor

from gan.layers import with_modality
from gan.losses import classification
from gan.method import Published
from gan.methods import pix2pix
from gan.methods.pix2pix import Pix2Pix, Pix2PixSettings
from gan.scope import Scope
from gan.settings import Settings

WEIGHTS = pix2pix.WEIGHTS | {"modality_real": 10.0, "modality": 10.0}


@dataclass(frozen=True, kw_only=True)
class MGANSettings(Pix2PixSettings):
    """What MGAN can be told; the defaults are the paper's."""

    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)
    classification: Literal["softmax", "bce"] = "softmax"


class MGAN(Pix2Pix):
    """Generator and critic, told and asked which target."""

    title = "MGAN"
    citation = (
        "Xin, Hu, Zheng, Liao. Multi-modality generative adversarial networks with tumor consistency loss for brain MR "
        "image synthesis. ISBI 2020"
    )
    differences = "classification loss"
    scope = Scope.ONE_TO_ALL
    published = Published(modalities=4, image_size=128)
    settings: MGANSettings
    paper: ClassVar[Settings] = MGANSettings()
    official: ClassVar[Mapping[str, Any]] = {"classification": "bce"}

    @property
    def kinds(self) -> int:
        """How many targets the generator is told and the critic tells apart."""
        return self.modalities - 1

    def told(self, image: Tensor, target: Tensor) -> Tensor:
        """Return what the generator reads: the image, (B, 1, H, W), and a map of each target."""
        return with_modality(image, target - 1, self.kinds)

    def classified(self, term: str, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the classification of `logits` (B, kinds) as the term of that name."""
        return {term: classification(logits, target - 1, self.settings.classification)}
