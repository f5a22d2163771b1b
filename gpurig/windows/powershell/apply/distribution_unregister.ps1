# gpurig: apply/distribution_unregister. Removes a distribution and DESTROYS its disk; only if name and GUID belong together.
param(
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [string] $Guid
)
$found = Get-RegistryValue "HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss\$Guid" 'DistributionName'
if ($found -ne $Name) { throw "$Guid is '$found', not '$Name'" }
[void](Invoke-Wsl @('--unregister', $Name) -Seconds 600)
@{ changed = $true; data = $null }
