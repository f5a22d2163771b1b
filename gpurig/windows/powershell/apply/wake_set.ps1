# gpurig: apply/wake_set. Whether a network card's magic packet wakes the PC, and only that packet.
param(
    [Parameter(Mandatory = $true)] [string] $Adapter,
    [Parameter(Mandatory = $true)] [bool] $Enabled
)
$card = Get-NetAdapter -Name $Adapter
$state = if ($Enabled) { 'Enabled' } else { 'Disabled' }
# The card takes it over with its next start: to start it now would cut our own connection.
# Not every card knows patterns, nor tells Windows of its magic packet: what counts is below.
Set-NetAdapterPowerManagement -Name $Adapter -WakeOnMagicPacket $state -NoRestart -ErrorAction SilentlyContinue
Set-NetAdapterPowerManagement -Name $Adapter -WakeOnPattern Disabled -NoRestart -ErrorAction SilentlyContinue
# Device manager's "Allow this device to wake the computer", which is a setting of its own and what collect/power reads.
$wake = Get-CimInstance -Namespace root/wmi -ClassName MSPower_DeviceWakeEnable -ErrorAction SilentlyContinue |
    Where-Object { $_.InstanceName -like "$($card.PnPDeviceID)*" } | Select-Object -First 1
if (-not $wake -and $Enabled) { throw "Windows cannot let $Adapter wake the PC" }
if ($wake) { Set-CimInstance -InputObject $wake -Property @{ Enable = $Enabled } }
@{ changed = $true; data = $null }
