"""A float ONNX file in, a smaller and faster 8-bit ONNX file out (onnx and onnxruntime, no torch)."""
