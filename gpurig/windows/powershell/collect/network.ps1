# gpurig: collect/network. Portproxy entries, listeners, firewalls and addresses; nothing of it in the display language.
param(
    [Parameter(Mandatory = $true)] [int[]] $Ports,
    [Parameter(Mandatory = $true)] [string] $Group
)
$wsl = '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}'

function Get-Entries([string] $Kind) {
    $found = @{}
    $path = "HKLM:\SYSTEM\CurrentControlSet\Services\PortProxy\$Kind\tcp"
    if (Test-Path -LiteralPath $path) {
        $key = Get-Item -LiteralPath $path
        foreach ($name in $key.GetValueNames()) { $found[$name] = [string]$key.GetValue($name) }
    }
    return $found
}

function Get-Excluded {
    # Lines of two numbers; those with a star somebody reserved on purpose, and may be bound.
    $said = Invoke-Native -Path "$env:SystemRoot\System32\netsh.exe" -Arguments @('interface', 'ipv4', 'show', 'excludedportrange', 'protocol=tcp')
    foreach ($line in [Text.Encoding]::ASCII.GetString([Convert]::FromBase64String($said.out)) -split "`n") {
        if ($line -match '^\s*(\d+)\s+(\d+)\s*$') { , @([int]$Matches[1], [int]$Matches[2]) }
    }
}

function Test-Named($Named) {
    foreach ($one in @($Named)) {
        if ("$one" -notmatch '^(\d+)(?:-(\d+))?$') { continue }
        $first = [int]$Matches[1]
        $last = if ($Matches[2]) { [int]$Matches[2] } else { $first }
        foreach ($port in $Ports) { if ($first -le $port -and $port -le $last) { return $true } }
    }
    return $false
}

function Get-Profiles([int64] $Flags) {
    if ($Flags -eq 0 -or ($Flags -band 7) -eq 7) { return @('any') }
    $found = @()
    if ($Flags -band 1) { $found += 'domain' }
    if ($Flags -band 2) { $found += 'private' }
    if ($Flags -band 4) { $found += 'public' }
    return $found
}

function Get-Action([int] $Code) {
    if ($Code -eq 4) { return 'Block' }
    return 'Allow'
}

# All filters at once: asking for each rule's own takes minutes. A filter has its rule's name.
$filters = @{}
foreach ($filter in @(Get-NetFirewallPortFilter)) { $filters[[string]$filter.InstanceID] = $filter }
$rules = @{}
foreach ($name in @($filters.Keys)) {
    $filter = $filters[$name]
    if (@('TCP', '6') -notcontains [string]$filter.Protocol -or -not (Test-Named $filter.LocalPort)) { continue }
    foreach ($rule in @(Get-NetFirewallRule -Name $name -ErrorAction SilentlyContinue)) {
        if ([int]$rule.Enabled -eq 1 -and [int]$rule.Direction -eq 1) { $rules[$name] = $rule }
    }
}
foreach ($rule in @(Get-NetFirewallRule -Group $Group -ErrorAction SilentlyContinue)) { $rules[[string]$rule.Name] = $rule }

$services = @{}
foreach ($service in @(Get-CimInstance -ClassName Win32_Service -Filter 'ProcessId <> 0')) {
    $id = [int]$service.ProcessId
    if (-not $services[$id] -or $service.Name -eq 'iphlpsvc') { $services[$id] = [string]$service.Name }
}
$processes = @{}
foreach ($process in @(Get-Process)) { $processes[[int]$process.Id] = [string]$process.ProcessName }

$connections = @{}
foreach ($one in @(Get-NetConnectionProfile -ErrorAction SilentlyContinue)) {
    $connections[[string]$one.InterfaceAlias] = @('public', 'private', 'domain')[[int]$one.NetworkCategory]
}
$addresses = @{}
foreach ($address in @(Get-NetIPAddress -AddressFamily IPv4)) {
    $interface = [string]$address.InterfaceAlias
    if (-not $addresses.ContainsKey($interface)) { $addresses[$interface] = @() }
    $addresses[$interface] += "$($address.IPAddress)/$($address.PrefixLength)"
}

# Windows 11 22H2 and later.
$hyperv = @{ available = $false; enabled = $false; inbound = ''; rules = @() }
if (Get-Command Get-NetFirewallHyperVVMSetting -ErrorAction SilentlyContinue) {
    $setting = @(Get-NetFirewallHyperVVMSetting -PolicyStore ActiveStore -ErrorAction SilentlyContinue | Where-Object { $_.Name -eq $wsl })[0]
    $hyperv.available = $true
    $hyperv.enabled = [bool]($setting -and [int]$setting.Enabled -eq 1)
    $hyperv.inbound = if ($setting) { [string]$setting.DefaultInboundAction } else { 'Block' }
    $all = @(Get-NetFirewallHyperVRule -ErrorAction SilentlyContinue)
    $hyperv.rules = @(foreach ($rule in @($all | Where-Object { $_.VMCreatorId -eq $wsl -and [int]$_.Direction -eq 1 })) {
            @{
                name    = [string]$rule.Name
                enabled = [int]$rule.Enabled -eq 1
                action  = Get-Action ([int]$rule.Action)
                ports   = @($rule.LocalPorts | ForEach-Object { [string]$_ })
                remote  = @($rule.RemoteAddresses | ForEach-Object { [string]$_ })
            }
        })
}

$client = if ($env:SSH_CLIENT) { ($env:SSH_CLIENT -split ' ')[0] } else { $null }
$ours = [string](Get-RegistryValue 'HKLM:\SOFTWARE\gpurig' 'portproxy')
@{
    portproxy         = @{
        v4tov4 = Get-Entries 'v4tov4'
        v4tov6 = Get-Entries 'v4tov6'
        v6tov4 = Get-Entries 'v6tov4'
        v6tov6 = Get-Entries 'v6tov6'
    }
    # A minus marks one that is about to go.
    ours              = @($ours -split '\s+' | Where-Object { $_ -match '/' } | ForEach-Object { $_.TrimStart('-') })
    client            = $client
    listeners         = @(foreach ($one in @(Get-NetTCPConnection -State Listen -ErrorAction SilentlyContinue)) {
            $id = [int]$one.OwningProcess
            @{ address = [string]$one.LocalAddress; port = [int]$one.LocalPort; process = [string]$processes[$id]; service = [string]$services[$id] }
        })
    excluded          = @(Get-Excluded)
    connections       = $connections
    addresses         = $addresses
    firewall_rules    = @(foreach ($rule in $rules.Values) {
            $filter = $filters[[string]$rule.Name]
            $remote = @(Get-NetFirewallAddressFilter -AssociatedNetFirewallRule $rule)[0].RemoteAddress
            @{
                name     = [string]$rule.Name
                display  = [string]$rule.DisplayName
                group    = [string]$rule.Group
                enabled  = [int]$rule.Enabled -eq 1
                action   = Get-Action ([int]$rule.Action)
                profiles = @(Get-Profiles ([int64]$rule.Profile))
                protocol = [string]$filter.Protocol
                ports    = @($filter.LocalPort | ForEach-Object { [string]$_ })
                remote   = @($remote | ForEach-Object { [string]$_ })
            }
        })
    firewall_profiles = @(foreach ($one in @(Get-NetFirewallProfile -PolicyStore ActiveStore)) {
            @{
                name        = ([string]$one.Name).ToLowerInvariant()
                enabled     = [int]$one.Enabled -eq 1
                block_all   = [int]$one.AllowInboundRules -eq 0
                local_rules = [int]$one.AllowLocalFirewallRules -ne 0
            }
        })
    hyperv            = $hyperv
}
