"""Machines that already exist: registered, checked, never created and never destroyed."""
