"""Vast.ai: rented containers on many owners' machines, on demand or interruptible."""
