"""Image classification: pictures of any size in, one of some labels out."""

from zoo.records.task import Task

_HERE = "zoo.tasks.image_classification"
TASK = Task(
    name="image-classification",
    title="Image classification",
    recipe=f"{_HERE}.recipe:ImageRecipe",
    student=f"{_HERE}.student:PictureStudent",
    meter=f"{_HERE}.meter:PictureMeter",
    maker=f"{_HERE}.maker:PictureMaker",
    words=f"{_HERE}.words:PictureWords",
)
