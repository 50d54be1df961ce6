"""A whole task in one folder, for the tests: one number from a picture, how bright it is.

Nothing of it is classification: the output is `value`, the score is an error (lower is better, no
fraction), and there are no labels.
"""

from zoo.records.task import Task

TASK = Task(
    name="brightness",
    title="Brightness of a picture",
    recipe="levels_task.recipe:LevelRecipe",
    student="levels_task.student:LevelStudent",
    meter="levels_task.meter:LevelMeter",
    maker="levels_task.maker:LevelMaker",
    words="levels_task.words:LevelWords",
    agreement="levels_task.meter:within",
)
