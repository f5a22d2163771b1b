"""PyTorch on the GPUs: whether it computes right, how fast, and whether several work together. Run by an environment's Python.

    python3 - [--device cuda|cpu] [--what numbers,speed,links] [--flip] [--burn MINUTES] [--smi nvidia-smi] [--fields a,b,c]

Prints one line of JSON with the sections of a recording that were asked for: {"numbers": …, "speed": …, "links": …}.
On the CPU it does the same with small sizes, and so can be tested without a GPU. `--flip` spoils one element of every
result after it was computed: what is not found then was never checked. Every section has

    "python": "3.11.14", "torch": "2.14.1+cu130", "cuda": "13.0" | null, "device": "cuda" | "cpu",
    "problem": "",                        why there is nothing to report of the whole section: no PyTorch, no CUDA, no answer
    "devices": [{"index": 0, "name": "NVIDIA GeForce RTX 4090", "capability": "8.9", "memory": 25386352640, "free": 24900000000,
                 "problem": "" | "no answer within 90 s, at …", …}]        empty for a problem of the whole; in links without more

numbers   top: "arch_list": ["sm_75", …, "compute_120"]. Of each device, each as far as it got:
              "kernel":  16.0                                              (ones(8) · 2).sum()
              "exact":   {"fp32": OUTCOME, "fp16": OUTCOME, "bf16": OUTCOME}    OUTCOME = {"elements": 4194304, "wrong": 0} | {"skipped": "…"}
              "repeats": {"fp32": {"times": 20, "different": 0}, "bf16": …}     products whose bits differ from the first one's
              "against": {"fp32": {"frobenius": 2.5e-7, "largest": 4e-7, "finite": true} | {"skipped": …}, "tf32", "fp16", "bf16"}
                         difference from the same product in fp64 on the CPU: relative in the Frobenius norm, and the
                         largest one relative to the largest element; null where not finite
speed     of each device: {"runs": [best first …], "best": 150.1, …} | {"skipped": "only 0.4 GB of its memory are free"}
              "matmul": {"type": "bf16", "size": 8192, …} TFLOPS         "type" is "fp16" below compute capability 8.0
              "copy": {"bytes": 1073741824, …} GB/s, read and written     "to_device", "from_device": pinned copies, GB/s
          top: "fields": ["index", …], "samples": [RUN, RUN, RUN]          nvidia-smi's answers while all GPUs are busy
               with --burn also "burn": {"minutes": 5.0, "devices": [{"index": 0, "times": 24000, "different": 0,
               "first": 150.1, "last": 148.7, "problem": ""}]}            TFLOPS of the first and the last third; its samples are in "samples"
links     "skipped": "there is one GPU" | "backend": "nccl" | "gloo", "count": 8, "bytes": 1073741824, "elements": 268435456,
          "wrong": 0, "runs": [best first …], "best": 475.2              bus bandwidth 2(n-1)/n · bytes / s, in GB/s; wrong over all ranks
          "peers": [[0, 1], …]                                            pairs that reach each other's memory directly
          "shm": 67108864, "environment": {"NCCL_P2P_DISABLE": "1"}       bytes of /dev/shm; NCCL's settings
"""
