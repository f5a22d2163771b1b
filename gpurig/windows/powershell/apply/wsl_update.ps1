# gpurig: apply/wsl_update. WSL's own update from GitHub; stops every distribution.
[void](Invoke-Wsl @('--update', '--web-download') -Seconds 1800)
@{ changed = $true; data = $null }
