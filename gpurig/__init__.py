"""gpurig: GPU hosts for one ML developer, from one configuration file."""
