# gpurig: apply/wake_set. Whether a network card's magic packet wakes the PC, and only that packet.
param(
    [Parameter(Mandatory = $true)] [string] $Adapter,
    [Parameter(Mandatory = $true)] [bool] $Enabled
)
$state = if ($Enabled) { 'Enabled' } else { 'Disabled' }
Set-NetAdapterPowerManagement -Name $Adapter -WakeOnMagicPacket $state -WakeOnPattern Disabled
@{ changed = $true; data = $null }
