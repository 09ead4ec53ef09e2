"""Prediction with ONNX Runtime on a CPU: encoders as ONNX graphs, made from a checkpoint when it is loaded."""

import os

# From version 1.29 on, ONNX Runtime sends its maker how it is used, and writes an identifier into the user's cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
