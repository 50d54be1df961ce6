"""One folder a task: everything that students of pictures, or of texts, decide for themselves.

In comes what each room asks of a task (`zoo.records.task`): a recipe, a card, a file. Uses every
room but `cli` and `serve`; no room imports it: a task is found by its name, so that those of other
packages are used like ours.
"""
