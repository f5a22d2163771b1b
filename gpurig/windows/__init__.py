"""A Windows PC with WSL2: its state as JSON, what shall be, and the actions between.

All decisions are made here, in pure functions. PowerShell only reads state and does what it is told, one file for each.
"""
