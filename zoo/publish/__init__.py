"""A folder becomes something that others pull.

In: a folder with a card. Out: its row in store and registry here (`shelf`); its commit on a hub,
proved and tagged (`remote`). `hub` is the one module that knows huggingface_hub. Uses the rooms
from `records` to `card`.
"""
