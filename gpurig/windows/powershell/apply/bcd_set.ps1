# gpurig: apply/bcd_set. Whether the hypervisor is started with Windows, from its next start on.
param(
    [Parameter(Mandatory = $true)] [ValidateSet('hypervisorlaunchtype')] [string] $Name,
    [Parameter(Mandatory = $true)] [ValidateSet('auto')] [string] $Value
)
$done = Invoke-Native -Path "$env:SystemRoot\System32\bcdedit.exe" -Arguments @('/set', '{current}', $Name, $Value)
if ($done.code -ne 0) { throw "bcdedit /set {current} $Name $Value ended with $($done.code)" }
@{ changed = $true; data = $null }
