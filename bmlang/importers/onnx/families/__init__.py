"""The operators of ONNX, one family per file: each has a `TABLE` from names to what writes them down as layers."""
