"""Paperspace: rented virtual machines with one GPU model each, in three regions. The vendor itself advises GPU droplets instead."""
