"""RunPod: rented containers in the vendor's own data centres (secure cloud) and on other people's machines (community cloud)."""
