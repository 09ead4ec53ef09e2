"""Training data of kgqa (synthesis, hard negatives), and its calibration."""
