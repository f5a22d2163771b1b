# gpurig: collect/power. When the PC goes to sleep, what a shut-down means, and what may wake it. Seconds; 0 is never, null unknown.
$scheme = (Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control\Power\User\PowerSchemes' 'ActivePowerScheme')
$sleep = '238C9FA8-0AAD-41ED-83F4-97BE242C8F20'

function Get-Seconds([string] $Setting) {
    # The user's own value, else the default of the scheme.
    $own = "HKLM:\SYSTEM\CurrentControlSet\Control\Power\User\PowerSchemes\$scheme\$sleep\$Setting"
    $value = Get-RegistryValue $own 'ACSettingIndex'
    if ($null -ne $value) { return [int64]$value }
    $default = "HKLM:\SYSTEM\CurrentControlSet\Control\Power\PowerSettings\$sleep\$Setting\DefaultPowerSchemeValues\$scheme"
    $value = Get-RegistryValue $default 'ProvAcSettingIndex'
    if ($null -eq $value) { $value = Get-RegistryValue $default 'AcSettingIndex' }
    if ($null -ne $value) { return [int64]$value }
    return $null
}

$adapters = @(Get-CimInstance -Namespace root/wmi -ClassName MSPower_DeviceWakeEnable -ErrorAction SilentlyContinue)
$cards = @(Get-NetAdapter -Physical -ErrorAction SilentlyContinue | Where-Object { $_.MediaType -eq '802.3' })
@{
    standby_ac   = Get-Seconds '29f6c1db-86da-48c5-9fdb-f2b67b1f44da'
    hibernate_ac = Get-Seconds '9d7815a6-7ee4-497e-8888-515a05f02364'
    fast_startup = (Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Power' 'HiberbootEnabled') -eq 1
    wake         = @(foreach ($card in $cards) {
            $wake = $adapters | Where-Object { $_.InstanceName -like "$($card.PnPDeviceID)*" } | Select-Object -First 1
            @{ adapter = [string]$card.Name; mac = [string]$card.MacAddress; enabled = [bool]($wake -and $wake.Enable) }
        })
}
