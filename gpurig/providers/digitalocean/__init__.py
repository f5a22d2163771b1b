"""DigitalOcean: rented virtual machines with GPUs, on demand, billed in full until they are deleted."""
