# gpurig: apply/service_set. How a service starts, and whether it runs now.
param(
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [ValidateSet('auto', 'manual', 'disabled')] [string] $Start,
    [Parameter(Mandatory = $true)] [bool] $Running
)
$type = @{ auto = 'Automatic'; manual = 'Manual'; disabled = 'Disabled' }[$Start]
Set-Service -Name $Name -StartupType $type
if ($Running) { Start-Service -Name $Name } else { Stop-Service -Name $Name -Force }
@{ changed = $true; data = $null }
