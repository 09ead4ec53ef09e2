"""Prediction with ONNX Runtime on a CPU: encoders as ONNX graphs, made from a checkpoint when it is loaded."""

import os

# ONNX Runtime 1.29 and later sends usage statistics to Microsoft and writes an identifier to the user's cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
