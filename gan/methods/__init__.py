"""The methods by name."""

from gan.method import Method
from gan.methods.stargan import StarGAN
from gan.methods.targan import TarGAN

METHODS: dict[str, type[Method]] = {"targan": TarGAN, "stargan": StarGAN}
