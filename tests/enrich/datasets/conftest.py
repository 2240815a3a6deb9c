import shutil

import pytest

from enrich import phantom


def write_phantom(layout, marker, **settings):
    phantom.write(layout, phantom.parse(layout, settings), marker)
    return marker.parent


@pytest.fixture(scope="session")
def abdomens(tmp_path_factory):
    """A CHAOS phantom that no test changes."""
    marker = tmp_path_factory.mktemp("abdomens") / "raw" / "phantom.json"
    return write_phantom("chaos", marker, ct_patients=4, mr_patients=1, slices=12, size=48)


@pytest.fixture(scope="session")
def heads(tmp_path_factory):
    """A BraTS phantom that no test changes."""
    return write_phantom(
        "brats", tmp_path_factory.mktemp("heads") / "raw" / "phantom.json", patients=2, slices=8, size=32
    )


@pytest.fixture
def chaos_folder(abdomens, tmp_path):
    return shutil.copytree(abdomens, tmp_path / "chaos")


@pytest.fixture
def brats_folder(heads, tmp_path):
    return shutil.copytree(heads, tmp_path / "brats")
