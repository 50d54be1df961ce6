import pytest

from compress.config import Attempt, Compress, Gates


def test_default_ladder_starts_without_float_layers_and_ends_with_most():
    kept = [attempt.float_layers for attempt in Compress().ladder]
    assert kept[0] == 0
    assert kept == sorted(kept)


@pytest.mark.parametrize(
    ("cls", "arguments", "field"),
    [
        (Attempt, {"name": ""}, "name"),
        (Attempt, {"name": "../up"}, "name"),
        (Attempt, {"name": "a", "calibration": "kl"}, "calibration"),
        (Attempt, {"name": "a", "percentile": 0.9999}, "percentile"),
        (Attempt, {"name": "a", "percentile": 100.1}, "percentile"),
        (Attempt, {"name": "a", "float_layers": -1}, "float_layers"),
        (Compress, {"ladder": ()}, "ladder"),
        (Compress, {"ladder": (Attempt("a"), Attempt("a"))}, "ladder"),
        (Compress, {"calibration_images": 0}, "calibration_images"),
        (Gates, {"max_drop_points": -0.1}, "max_drop_points"),
        (Gates, {"min_agreement": 98.5}, "min_agreement"),
        (Gates, {"max_speed_ratio": 0}, "max_speed_ratio"),
        (Gates, {"max_size_bytes": -1}, "max_size_bytes"),
    ],
)
def test_value_out_of_range_names_its_field(cls, arguments, field):
    with pytest.raises(ValueError, match=field):
        cls(**arguments)
