"""A float ONNX file in, a smaller and faster 8-bit one out (onnx, onnxruntime; no torch)."""
