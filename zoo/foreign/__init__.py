"""Somebody else's ONNX file: what it reads, from pictures or arrays, and what it costs beside its
8-bit twin.

In: an ONNX file, a folder of pictures (or arrays), how pictures are prepared for it.
Out: a smaller and faster file with a report, or the reasons why there is none.
"""
