"""Models: loading, saving, devices, and the base classes of tasks."""
