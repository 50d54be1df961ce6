"""Text classification: texts of any length in, one of some labels out."""

from zoo.records.task import Task

_HERE = "zoo.tasks.text_classification"
TASK = Task(
    name="text-classification",
    title="Text classification",
    recipe=f"{_HERE}.recipe:TextRecipe",
    student=f"{_HERE}.student:TextStudent",
    meter=f"{_HERE}.meter:TextMeter",
    maker=f"{_HERE}.maker:TextMaker",
    words=f"{_HERE}.words:TextWords",
)
