"""The network of kgqa in torch, and the runners that compute with it in torch or ONNX Runtime."""
