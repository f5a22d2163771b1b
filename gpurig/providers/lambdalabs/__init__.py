"""Lambda: rented virtual machines with Ubuntu and the NVIDIA driver, on demand, billed until they are ended."""
