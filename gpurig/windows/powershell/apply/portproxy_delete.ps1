# gpurig: apply/portproxy_delete. Takes out one entry of netsh's port proxy.
param(
    [Parameter(Mandatory = $true)] [string] $ListenAddress,
    [Parameter(Mandatory = $true)] [int] $ListenPort
)
$key = 'HKLM:\SYSTEM\CurrentControlSet\Services\PortProxy\v4tov4\tcp'
# netsh fails for an entry that is not there, in the display language.
if ($null -eq (Get-RegistryValue $key "$ListenAddress/$ListenPort")) { return @{ changed = $false; data = $null } }
$done = Invoke-Native -Path "$env:SystemRoot\System32\netsh.exe" -Arguments @(
    'interface', 'portproxy', 'delete', 'v4tov4', "listenport=$ListenPort", "listenaddress=$ListenAddress")
if ($null -ne (Get-RegistryValue $key "$ListenAddress/$ListenPort")) {
    throw "netsh interface portproxy delete ended with $($done.code), and the entry is still there"
}
@{ changed = $true; data = $null }
