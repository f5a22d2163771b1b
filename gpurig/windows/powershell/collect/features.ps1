# gpurig: collect/features. Windows' optional features that WSL needs, and the services behind them.
$names = @('VirtualMachinePlatform', 'Microsoft-Windows-Subsystem-Linux')
$services = @('vmcompute', 'hns', 'iphlpsvc', 'SharedAccess', 'sshd', 'WSLService', 'LxssManager', 'winnat', 'TermService')
$starts = @{ Automatic = 'auto'; Manual = 'manual'; Disabled = 'disabled'; Boot = 'auto'; System = 'auto' }

$running = @{}
foreach ($service in @(Get-Service -Name $services -ErrorAction SilentlyContinue)) {
    $running[$service.Name] = @{ state = ([string]$service.Status).ToLowerInvariant(); start = $starts[[string]$service.StartType] }
}

# What apply/feature_enable noted for this boot. WSL itself takes the platform for there only with its services (wslutil.cpp).
$boot = (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().Ticks
$features = @{}
$pending = @()
foreach ($feature in @(Get-CimInstance -ClassName Win32_OptionalFeature -Filter "Name='$($names[0])' or Name='$($names[1])'")) {
    $state = @{ 1 = 'enabled'; 2 = 'disabled' }[[int]$feature.InstallState]
    $noted = Get-RegistryValue 'HKLM:\SOFTWARE\gpurig\Pending' $feature.Name
    # Within a minute: a clock that is set right moves the time of the boot too.
    $waits = $noted -and [Math]::Abs([int64]$noted - $boot) -lt 600000000
    if ($feature.Name -eq $names[0] -and $state -eq 'enabled' -and -not $running.ContainsKey('vmcompute')) { $waits = $true }
    if ($waits) { $pending += $feature.Name; $state = 'disabled' }
    $features[$feature.Name] = $(if ($state) { $state } else { 'absent' })
}
foreach ($name in $names) { if (-not $features.ContainsKey($name)) { $features[$name] = 'absent' } }
@{ features = $features; pending = @($pending); services = $running }
