"""What a rented machine does when it first starts: it takes our login key and the host key that was made for it."""

from __future__ import annotations

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gpurig.catalogue import ROOT
from gpurig.providers import Order


def container(order: Order, *, starts_sshd: bool) -> str:
    """A bash script for a rented container. starts_sshd: nobody else does, and it must then stay the main process."""
    return _rendered("container.sh.j2", order, starts_sshd=starts_sshd)


def cloud_init(order: Order, *, user: str) -> str:
    """User data in cloud-init's own format, for a virtual machine where `user` logs in."""
    return _rendered("cloud-init.yaml.j2", order, user=user)


def script(order: Order, *, user: str) -> str:
    """A shell script, run once as root, for a virtual machine without cloud-init where `user` logs in."""
    return _rendered("machine.sh.j2", order, user=user)


def _rendered(template: str, order: Order, **values: object) -> str:
    environment = Environment(  # noqa: S701 (scripts are not HTML)
        loader=FileSystemLoader(ROOT / "templates" / "rented"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    public = order.host_key.with_name(order.host_key.name + ".pub")
    return environment.get_template(template).render(
        mark=order.mark,
        public_key=order.public_key,
        host_key=order.host_key.read_text(encoding="utf-8").strip(),
        host_key_public=public.read_text(encoding="utf-8").strip(),
        **values,
    )
