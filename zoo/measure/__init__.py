"""Figures, with their interval and their device.

In: ONNX files and data. Out: scores (`verify`), latency in interleaved rounds (`bench`), and the
card's figures again (`remeasure`). Uses the rooms from `records` to `students`.
"""
