"""What an entry of `methods` tells the method that it trains."""

from enrich.config import Config, facts, method_of, schema
from gan.methods import METHODS
from gan.settings import Settings, resolve


def settings_of(name: str, entry: Config) -> Settings:
    """Return the settings of an entry's method, with the widths of the networks that it starts from."""
    method = method_of(name, entry)
    networks = facts(method).get("pretrained", {})
    own = {key: value for key, value in entry.items() if key not in {"method", *networks}}
    for network, trainer in networks.items():
        default = schema()["$defs"][trainer]["properties"]["width"]["default"]
        own[f"{network}_width"] = entry.get(network, {}).get("width", default)
    kind = METHODS[method]
    return resolve(kind.paper, kind.official, own, name)


def settings_of_network(name: str, entry: Config, network: str) -> Settings:
    """Return the settings of a network that an entry's method starts from; what every method is told is the entry's."""
    trainer = facts(method_of(name, entry))["pretrained"][network]
    shared = {key: value for key, value in entry.items() if key in schema()["x-training"]}
    kind = METHODS[trainer]
    return resolve(kind.paper, kind.official, shared | entry.get(network, {}), f"{name}.{network}")
