"""What is written down, and what it must look like.

In: YAML and JSON of anybody, within the limits of `text`. Out: frozen records (recipe, run, card,
entry, measures), or one error that names file, line and near matches; and the task of a name
(`task`). Reads no other room.
"""
