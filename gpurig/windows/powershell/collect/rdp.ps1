# gpurig: collect/rdp. Whether Remote Desktop is there and on.
$edition = [string](Get-RegistryValue 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion' 'EditionID')
$server = 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server'
$policy = Get-RegistryValue 'HKLM:\SOFTWARE\Policies\Microsoft\Windows NT\Terminal Services' 'fDenyTSConnections'
$port = Get-RegistryValue "$server\WinStations\RDP-Tcp" 'PortNumber'
@{
    supported = -not $edition.StartsWith('Core')
    enabled   = (Get-RegistryValue $server 'fDenyTSConnections') -eq 0
    policy    = if ($null -eq $policy) { $null } else { $policy -eq 0 }
    nla       = (Get-RegistryValue "$server\WinStations\RDP-Tcp" 'UserAuthentication') -eq 1
    port      = if ($null -eq $port) { 3389 } else { [int]$port }
}
