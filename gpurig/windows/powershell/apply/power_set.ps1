# gpurig: apply/power_set. Seconds without use after which the PC sleeps or hibernates on mains power; 0 is never.
param(
    [Parameter(Mandatory = $true)] [ValidateSet('standby', 'hibernate')] [string] $What,
    [Parameter(Mandatory = $true)] [int] $Seconds
)
$minutes = [Math]::Ceiling($Seconds / 60)
$done = Invoke-Native -Path "$env:SystemRoot\System32\powercfg.exe" -Arguments @('/change', "$What-timeout-ac", "$minutes")
if ($done.code -ne 0) { throw "powercfg /change $What-timeout-ac $minutes ended with $($done.code)" }
@{ changed = $true; data = $null }
