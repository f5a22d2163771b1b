"""Local Podman containers that behave like small machines; the default, since they need no account."""
