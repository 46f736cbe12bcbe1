"""podnas: POD and neural architecture search for emulators of geophysical fields."""

__version__ = "0.1.0"
