# gpurig: apply/msi_install. Installs, upgrades or repairs from an MSI that still has this SHA-256; never restarts.
param(
    [Parameter(Mandatory = $true)] [string] $Path,
    [Parameter(Mandatory = $true)] [string] $Sha256,
    [Parameter(Mandatory = $true)] [bool] $Repair
)
Confirm-Sha256 $Path $Sha256
$arguments = @('/i', $Path, '/qn', '/norestart', '/L*', "$Path.log")
# Of a package that is installed, /i alone changes nothing; where it is not, these would install nothing.
if ($Repair) { $arguments += @('REINSTALL=ALL', 'REINSTALLMODE=vamus') }
$done = Invoke-Native -Path "$env:SystemRoot\System32\msiexec.exe" -Arguments $arguments -Seconds 1800
if ($done.code -notin @(0, 3010, 1641)) { throw "msiexec /i $Path ended with $($done.code); its log: $Path.log" }
@{ changed = $true; data = @{ code = $done.code; reboot = $done.code -ne 0 } }
