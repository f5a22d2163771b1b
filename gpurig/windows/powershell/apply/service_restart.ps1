# gpurig: apply/service_restart. Restarts a service, and with it those that depend on it.
param([Parameter(Mandatory = $true)] [string] $Name)
Restart-Service -Name $Name -Force
@{ changed = $true; data = $null }
