"""Which students there are, here and elsewhere.

In: the names of registries (`registries`): files, URLs, ORG/NAME. Out: entries by name; and how a
hub is reached, with whose token (`endpoints`). Uses `records`.
"""
