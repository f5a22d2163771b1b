# gpurig: inside/nvidia_smi. Lets whatever was started over SSH, by sudo or by systemd find Windows' nvidia-smi. Run as root.
main() {
    smi=/usr/lib/wsl/lib/nvidia-smi
    link=/usr/local/bin/nvidia-smi
    if [ ! -x $smi ] || [ -e $link ]; then return; fi
    ln -sfn $smi $link
    echo changed
}
