# gpurig: apply/portproxy_set. One entry of netsh's port proxy, new or with another target; waits for its listener.
param(
    [Parameter(Mandatory = $true)] [string] $ListenAddress,
    [Parameter(Mandatory = $true)] [int] $ListenPort,
    [Parameter(Mandatory = $true)] [string] $ConnectAddress,
    [Parameter(Mandatory = $true)] [int] $ConnectPort
)
$key = 'HKLM:\SYSTEM\CurrentControlSet\Services\PortProxy\v4tov4\tcp'
$done = Invoke-Native -Path "$env:SystemRoot\System32\netsh.exe" -Arguments @(
    'interface', 'portproxy', 'set', 'v4tov4', "listenport=$ListenPort", "listenaddress=$ListenAddress",
    "connectport=$ConnectPort", "connectaddress=$ConnectAddress")
# netsh takes nonsense without a word: what counts is what the registry has now.
if ((Get-RegistryValue $key "$ListenAddress/$ListenPort") -ne "$ConnectAddress/$ConnectPort") {
    throw "netsh interface portproxy set ended with $($done.code), and the entry is not there"
}
# The IP Helper service follows a moment later.
$watch = [Diagnostics.Stopwatch]::StartNew()
while ($watch.Elapsed.TotalSeconds -lt 5) {
    $there = @(Get-NetTCPConnection -State Listen -LocalPort $ListenPort -ErrorAction SilentlyContinue)
    if (@($there | Where-Object { $_.LocalAddress -eq $ListenAddress }).Count) { break }
    Start-Sleep -Milliseconds 200
}
@{ changed = $true; data = $null }
