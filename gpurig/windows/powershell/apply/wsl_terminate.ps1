# gpurig: apply/wsl_terminate. Stops one distribution.
param([Parameter(Mandatory = $true)] [string] $Name)
[void](Invoke-Wsl @('--terminate', $Name))
@{ changed = $true; data = $null }
