"""The commands of `rig` for Fabric's `fab`, and the place for tasks of your own.

    fab --list
    GPURIG_STACK=demo fab status
    fab train --host demo --script train.py --args='--epochs 5'

A task of your own gets a connection that accepts the host's pinned key only:

    @task
    def gpus(c, host):
        with connection(host) as there:
            there.run("nvidia-smi")
"""

from gpurig.ops import collection
from gpurig.ops.connection import refuse_unknown_hosts

refuse_unknown_hosts()
namespace = collection()
