# gpurig: collect/wsl. WSL as our user has it: its program, its distributions from the registry, its settings. Starts no distribution.
$lxss = 'Software\Microsoft\Windows\CurrentVersion\Lxss'
$path = Get-WslPath

function Get-Distribution([string] $Guid) {
    # Version is of the entry's form; what runs in a VM, which is WSL 2, has a flag (LXSS_DISTRO_FLAGS_VM_MODE in WSL's wslservice.idl).
    $key = "HKCU:\$lxss\$Guid"
    $base = ([string](Get-RegistryValue $key 'BasePath')) -replace '^\\\\\?\\', ''
    $file = Get-RegistryValue $key 'VhdFileName'
    if (-not $file) { $file = 'ext4.vhdx' }
    $vhd = "$base\$file"
    $there = Get-Item -LiteralPath $vhd -Force -ErrorAction SilentlyContinue
    return @{
        guid      = $Guid
        name      = [string](Get-RegistryValue $key 'DistributionName')
        wsl       = $(if ([int](Get-RegistryValue $key 'Flags') -band 8) { 2 } else { 1 })
        base_path = $base
        uid       = [int](Get-RegistryValue $key 'DefaultUid')
        state     = [int](Get-RegistryValue $key 'State')
        default   = (Get-RegistryValue "HKCU:\$lxss" 'DefaultDistribution') -eq $Guid
        vhd_path  = $vhd
        vhd_size  = $(if ($there) { [int64]$there.Length } else { $null })
    }
}

function Get-Guids([string] $Root) {
    if (-not (Test-Path -LiteralPath $Root)) { return @() }
    return @(Get-ChildItem -LiteralPath $Root | ForEach-Object { $_.PSChildName } | Where-Object { $_ -match '^\{.+\}$' })
}

function Get-Elsewhere {
    # Registries of other people are there only while they are logged on.
    $found = @{}
    $mine = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
    foreach ($sid in @(Get-ChildItem -LiteralPath 'Registry::HKEY_USERS' -ErrorAction SilentlyContinue | ForEach-Object { $_.PSChildName })) {
        if ($sid -eq $mine -or $sid -notmatch '^S-1-(5-21|12-1)-[0-9-]+$') { continue }
        $root = "Registry::HKEY_USERS\$sid\$lxss"
        $names = @(foreach ($guid in Get-Guids $root) { [string](Get-RegistryValue "$root\$guid" 'DistributionName') })
        if ($names.Count) { $found[$sid] = $names }
    }
    return $found
}

function Get-VmStart {
    $vm = @(Get-CimInstance -ClassName Win32_Process -Filter "Name='vmmemWSL' or Name='vmmem'")
    $vm = @($vm | Sort-Object -Property @{ Expression = { $_.Name -ne 'vmmemWSL' } })
    if (-not $vm.Count -or -not $vm[0].CreationDate) { return $null }
    $time = $vm[0].CreationDate.ToUniversalTime()
    return $time.ToString('yyyy-MM-dd\THH\:mm\:ss', [Globalization.CultureInfo]::InvariantCulture) + '+00:00'
}

$policy = @{}
if (Test-Path -LiteralPath 'HKLM:\SOFTWARE\Policies\WSL') {
    $key = Get-Item -LiteralPath 'HKLM:\SOFTWARE\Policies\WSL'
    foreach ($name in $key.GetValueNames()) { $policy[$name] = $key.GetValue($name) }
}
$config = Join-Path $env:USERPROFILE '.wslconfig'
@{
    path          = $path
    msi_version   = $(if ($path) { [string](Get-Item -LiteralPath $path).VersionInfo.ProductVersion } else { $null })
    stub          = Test-Path -LiteralPath "$env:SystemRoot\System32\wsl.exe"
    version       = $(if ($path) { Invoke-Native -Path $path -Arguments @('--version') } else { $null })
    running       = $(if ($path) { Invoke-Native -Path $path -Arguments @('--list', '--running', '--quiet') } else { $null })
    distributions = @(foreach ($guid in Get-Guids "HKCU:\$lxss") { Get-Distribution $guid })
    elsewhere     = Get-Elsewhere
    policy        = $policy
    config_path   = $config
    config        = $(if (Test-Path -LiteralPath $config) { ConvertTo-Base64 ([IO.File]::ReadAllBytes($config)) } else { $null })
    vm_started    = Get-VmStart
    nat_address   = Get-RegistryValue "HKCU:\$lxss" 'NatIpAddress'
}
