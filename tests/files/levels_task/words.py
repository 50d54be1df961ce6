"""What its card says."""

from __future__ import annotations

from zoo.card.words import Words


class LevelWords(Words):
    one, many = "a picture", "pictures"
    example = "photo.jpg"
    time_unit = (1, "ms a picture")
    hub_metric = "mae"
    pipeline_tag = "image-feature-extraction"

    def accuracy(self) -> str:
        return "A level is a tenth of the way from black to white."

    def hub_tags(self) -> list[str]:
        return ["regression"]
