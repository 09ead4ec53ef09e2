"""Prediction with ONNX Runtime on a CPU: encoders as ONNX graphs, made from a checkpoint when it is loaded."""
