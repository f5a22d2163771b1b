# gpurig: apply/feature_enable. Enables an optional feature of Windows and all that it needs; never restarts.
param([Parameter(Mandatory = $true)] [string] $Name)
$arguments = @('/online', '/enable-feature', "/featurename:$Name", '/all', '/norestart', '/quiet')
$done = Invoke-Native -Path "$env:SystemRoot\System32\dism.exe" -Arguments $arguments -Seconds 1800
if ($done.code -notin @(0, 3010)) { throw "dism /enable-feature $Name ended with $($done.code)" }
if ($done.code -eq 3010) {
    # For collect/features: valid until the next boot.
    $key = 'HKLM:\SOFTWARE\gpurig\Pending'
    if (-not (Test-Path -LiteralPath $key)) { [void](New-Item -Path $key -Force) }
    $boot = (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().Ticks
    [void](New-ItemProperty -LiteralPath $key -Name $Name -PropertyType String -Value "$boot" -Force)
}
@{ changed = $true; data = @{ reboot = $done.code -eq 3010 } }
