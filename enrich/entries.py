"""What an entry of `methods` tells the method that it trains."""

from enrich.config import Config, facts, keys_of, keys_of_network, method_of
from gan.methods import METHODS
from gan.settings import Settings, resolve


def settings_of(name: str, entry: Config) -> Settings:
    """Return the settings of an entry's method, with the widths of the networks that it starts from."""
    kind = METHODS[method_of(name, entry)]
    return resolve(kind.paper, kind.official, keys_of(name, entry), name)


def settings_of_network(name: str, entry: Config, network: str) -> Settings:
    """Return the settings of a network that an entry's method starts from."""
    kind = METHODS[facts(method_of(name, entry))["pretrained"][network]]
    return resolve(kind.paper, kind.official, keys_of_network(entry, network), f"{name}.{network}")
