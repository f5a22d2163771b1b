"""How many machines are forgotten, when the program is killed at every step that matters, against vendors that misbehave.

    python -m bench.leaks [--provider NAME]… [--kills 1000] [--minutes M] [--at-once N] [--seed S [--tell]]

The vendors are simulated (tests/clients); the program, its files, its ledger, its HTTP and SIGKILL are real. `--seed` repeats one trial.
"""
