# gpurig: apply/wsl_shutdown. Stops every distribution of our user and the VM.
[void](Invoke-Wsl @('--shutdown'))
@{ changed = $true; data = $null }
