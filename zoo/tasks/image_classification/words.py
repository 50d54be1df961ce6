"""What the cards of students that classify pictures say. Pure text, no I/O."""

from __future__ import annotations

from zoo.card.words import Words


class PictureWords(Words):
    """Of pictures."""

    one, many = "a picture", "pictures"

    @property
    def hub_metric(self) -> str:  # type: ignore[override]
        """The Hub knows none that is agreement with a teacher."""
        return "accuracy" if self.card.data.labelled else ""

    alike = "with the same first answer"
    single = "One picture"
    example = "photo.jpg"
    time_unit = (1, "ms a picture")

    def scores(self) -> str:
        """Of pictures without labels nobody knows the accuracy."""
        return "Accuracy" if self.card.data.labelled else "Agreement with its teacher"

    def accuracy(self) -> str:
        """What agreement is, and is not."""
        if self.card.data.labelled:
            return ""
        return (
            "These pictures have no labels. The student learned from its teacher alone, and is "
            "measured by it: how often both give the same first answer to held-out pictures. How "
            "often the teacher is right is not known here, so no figure on this page says how "
            "often the student is."
        )

    def lineage(self) -> list[tuple[str, str]]:
        """At which size the teacher saw the pictures; who said what they show."""
        data = self.card.data
        size = [("Seen by the teacher", f"at {data.keep_size} pixels a side")]
        labels = [("Labels", "none: the first answers of its teacher stand for them")]
        return (size if data.keep_size else []) + ([] if data.labelled else labels)

    def use(self) -> str:
        """How to run it, with and without this package."""
        card, size = self.card, self.card.input.size
        return f"""## Use

```python
import zoo  # pip install studentzoo

student = zoo.load("{card.name}")
print(student("photo.jpg"))  # [(label, probability), ...], the likeliest first
```

From a shell: `zoo run {card.name} photo.jpg`. Without any code of ours:

```python
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("{card.variants[card.best].file}")
labels = json.loads(session.get_modelmeta().custom_metadata_map["studentzoo.labels"])
picture = ImageOps.exif_transpose(Image.open("photo.jpg"))  # upright
if picture.mode.startswith("I"):  # greys of 16 bits
    picture = Image.fromarray((np.asarray(picture).clip(0, 65535) >> 8).astype(np.uint8))
if picture.has_transparency_data:  # what is transparent lies on white
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture.convert("RGBA"))
pictures = np.asarray(picture.convert("RGB"))[np.newaxis]
(logits,) = session.run(None, {{"{card.input.name}": pictures}})
print(labels[logits[0].argmax()])
```

The file takes {card.input.dtype} {card.input.color} pictures `(n, height, width, 3)` of any size,
resizes them to {size} x {size} pixels, normalises them and answers with float32 logits
`(n, {len(card.labels)})`. Pixels are given as people see them, as above: upright, what is
transparent on white, greys of 16 bits divided by 256. There is no other preprocessing."""

    def peak_memory(self) -> str:
        """In the words that these cards came with."""
        return "of a fresh process that answers once"

    def macs_of(self) -> str:
        """What the multiply-accumulates are counted for."""
        return f"a picture of {self.card.input.size} x {self.card.input.size}"

    def limits(self) -> str:
        """What it is not to be trusted with."""
        card = self.card
        labels = ", ".join(card.labels[:20]) + (", ..." if len(card.labels) > 20 else "")
        data = card.variants["fp32"].accuracy.dataset
        lines = [
            "## Limits",
            f"It knows {len(card.labels)} answers ({labels}) and gives one of them to every "
            f"picture, also to pictures of something else. It was measured on {data} only: on "
            "pictures from elsewhere it will be worse, by how much is not known, and its "
            "probabilities are not to be relied on there. It is meant for research, teaching and "
            "as a part of systems that check it on their own data first.",
        ]
        if "int8" in card.variants:
            lines.append(self.int8_limits())
        return "\n\n".join(lines)
