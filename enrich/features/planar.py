"""Backbones of 2-D images: one feature vector for every axial slice that shows the body.

A slice is centred on a square of background, resampled to the size that the network was trained on, and repeated as its
three colours, in [-1, 1].
"""

from pathlib import Path

from torch import nn

from enrich.features.backbone import Features, in_batches, load_weights
from enrich.gan_grid import to_gan_grid
from enrich.translations import Picture

LAYERS = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}  # of a ResNet


class Planar:
    """A network of colour images.

    Attributes:
        network: (B, 3, S, S) in [-1, 1] to (B, D).
        image_size: S.
    """

    network: nn.Module
    image_size: int

    def __call__(self, picture: Picture) -> Features:
        """Return the features of every slice of the body, (N, 2048)."""
        shown = picture.images[picture.body.any(axis=(1, 2))]
        images = to_gan_grid(shown, self.image_size, -1)[:, None]
        return in_batches(lambda batch: self.network(batch.expand(-1, 3, -1, -1)), images)


class Inception(Planar):
    """Inception v3 of ImageNet, in torchvision's architecture: the 2048 features before its classifier.

    Weights: torchvision's `inception_v3_google-0cc3c7bd.pth`; its two heads are not needed. These are not the weights
    of TensorFlow that the literature's FID is computed with (`pt_inception-2015-12-05-6726825d.pth`). That file is read
    too, but its network also averages otherwise at the edges in some blocks and pools by maximum in the last one, so
    that figures differ from those of the usual FID programs even then. They differ in the resampling too.
    """

    def __init__(self, weights: Path) -> None:
        """Load the weights; raises an `InputError` where the file holds others."""
        from torchvision.models import inception_v3

        self.image_size = 299
        network = inception_v3(weights=None, aux_logits=False, init_weights=False)
        network.fc = nn.Identity()
        self.network = load_weights(network, "Inception v3", weights, leave_out=("fc.", "AuxLogits."))


class RadImageNet(Planar):
    """ResNet-50 of RadImageNet (Mei et al., Radiology: AI 2022), in torchvision's architecture: 2048 features.

    Weights: `ResNet50.pt` of the authors' PyTorch release, whose names are `backbone.<number of the layer>.…`, or any
    file under torchvision's own names. The authors' networks for Keras, and their ports, have other layers.
    """

    def __init__(self, weights: Path) -> None:
        """Load the weights; raises an `InputError` where the file holds others."""
        from torchvision.models import resnet50

        self.image_size = 224
        network = resnet50(weights=None)
        network.fc = nn.Identity()
        self.network = load_weights(network, "ResNet-50", weights, leave_out=("fc.",), name_of=_torchvision_name)


def _torchvision_name(name: str) -> str:
    """Return torchvision's name for a weight of RadImageNet's ResNet-50."""
    prefix, _, rest = name.partition(".")
    number, _, weight = rest.partition(".")
    return f"{LAYERS.get(number, number)}.{weight}" if prefix == "backbone" else name
