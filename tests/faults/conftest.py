"""The slice cache of the tests of `gan`."""

from tests.gan.conftest import make_slices

__all__ = ["make_slices"]
