"""What `zoo.load` returns.

In: a name, a folder, an ONNX file. Out: a Student that answers (`load`), once its golden outputs
came out right on this processor (`golden`). What it reads and says is its task's. Uses the rooms
from `records` to `inputs`.
"""
