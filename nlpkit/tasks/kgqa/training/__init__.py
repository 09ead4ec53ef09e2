"""Training data of kgqa, and its calibration."""
