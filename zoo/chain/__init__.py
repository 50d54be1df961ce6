"""A recipe becomes a student.

In: a recipe. Out: the record of each stage (`made`), label -> distil -> export -> compress ->
measure -> card -> store, of which `build` is the list. What a task decides is in its Maker
(`maker`). Uses the rooms from `records` to `publish`, and the three stages beside `zoo`.
"""
