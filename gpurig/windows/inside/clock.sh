# gpurig: inside/clock. Sets the clock by Windows', as WSL should have done after sleep. Run as root. Says `changed`.
main() {
    hwclock --hctosys && echo changed
}
