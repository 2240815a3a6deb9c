"""CycleGAN + gradient consistency (Hiasa et al., SASHIMI 2018): CycleGAN whose fakes keep the edges of their source.

The objective (eq. 6) is CycleGAN's with the gradient-consistency loss (eq. 5): one half of the sum over both directions
of 1 − GC of a slice and its translation. The cycle weighs 3, gradient consistency 0.3, there is no identity term; the
training has 2·10⁵ iterations. All else follows Zhu et al., as the paper says; the ablation without the loss is its
weight set to 0. The paper writes its sums over the images of a data set: here, as in CycleGAN, means over slices and
pixels, without which the cycle's weight would not be comparable with the 10 of Zhu et al.

The gradient operator is left open: Sobel's by default, as in Penney et al. (1998), whose measure this is.

No public code of the training is known to us. The first author's library of similarity measures
(github.com/yuta-hi/pytorch_similarity) has the loss and cites the paper: it correlates absolute gradients, of central
differences unless told otherwise, so that a reversed contrast does not count: keys `absolute_gradient`, `gradient`. As
there, pixels repeat beyond the border, and a constant image correlates with nothing.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from gan.methods.cyclegan import WEIGHTS, CycleGAN, CycleGANSettings
from gan.settings import Settings


class CycleGANGC(CycleGAN):
    """CycleGAN with other weights and another length."""

    title = "CycleGAN + GC"
    citation = (
        "Hiasa et al. Cross-modality image synthesis from unpaired data using CycleGAN: effects of gradient "
        "consistency loss and training data size. SASHIMI 2018"
    )
    differences = "the public code of the loss takes absolute values of central differences"
    paper: ClassVar[Settings] = CycleGANSettings(
        epochs=None, rounds=200_000, weights=WEIGHTS | {"cycle": 3.0, "gradient_consistency": 0.3}
    )
    official: ClassVar[Mapping[str, Any]] = {"gradient": "central", "absolute_gradient": True}
