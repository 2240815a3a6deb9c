"""The methods by name."""

from gan.method import Method
from gan.methods.conditional_segmentor import ConditionalSegmentor
from gan.methods.csgan import CSGAN
from gan.methods.cyclegan import CycleGAN
from gan.methods.cyclegan_gc import CycleGANGC
from gan.methods.mgan import MGAN
from gan.methods.pix2pix import Pix2Pix
from gan.methods.remic import ReMIC
from gan.methods.segan import SegAN
from gan.methods.stargan import StarGAN
from gan.methods.targan import TarGAN
from gan.methods.tc_mgan import TCMGAN
from gan.methods.tc_mgan_bw import TCMGANbw
from gan.methods.uagan import UAGAN

METHODS: dict[str, type[Method]] = {
    "targan": TarGAN,
    "stargan": StarGAN,
    "cyclegan": CycleGAN,
    "cyclegan_gc": CycleGANGC,
    "csgan": CSGAN,
    "remic": ReMIC,
    "uagan": UAGAN,
    "pix2pix": Pix2Pix,
    "mgan": MGAN,
    "tc_mgan": TCMGAN,
    "tc_mgan_bw": TCMGANbw,
    "segan": SegAN,
    "conditional_segmentor": ConditionalSegmentor,
}
