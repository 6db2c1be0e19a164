import pytest

from trainer.callbacks.example_images import ExampleImages


def test_showing_none_is_refused():
    with pytest.raises(ValueError, match=r"num_images=0: at least 1"):
        ExampleImages(0)
