"""A torch student in, one ONNX file out that is the whole model, proved equal (torch and onnx)."""
