# gpurig: keeper. Holds WSL up, and our portproxy entries at its address. Task \gpurig\keeper starts it every few minutes.
# Is installed with library.ps1 above it; keeper.json beside it has its settings: {"distribution": name, "seconds": between two looks}.
# Ends with WSL's own end or when it or its settings were replaced: the task's next start goes on. It never ends WSL.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$folder = $PSScriptRoot
$settings = $null

function Write-Line([string] $Event, [hashtable] $More = @{}) {
    $log = Join-Path $folder 'keeper.log'
    if ((Test-Path -LiteralPath $log) -and (Get-Item -LiteralPath $log).Length -gt 262144) {
        Move-Item -LiteralPath $log -Destination "$log.1" -Force
    }
    $More.event = $Event
    $More.time = [DateTime]::UtcNow.ToString('yyyy-MM-dd\THH\:mm\:ss\Z', [Globalization.CultureInfo]::InvariantCulture)
    [IO.File]::AppendAllText($log, (ConvertTo-Json -InputObject $More -Compress) + "`n")
}

function Get-Version {
    $files = @('keeper.ps1', 'keeper.json') | ForEach-Object { Join-Path $folder $_ }
    return (@($files | ForEach-Object { (Get-FileHash -LiteralPath $_ -Algorithm SHA256).Hash }) -join ' ')
}

function Test-Paused {
    # Whoever works on WSL's disk asks us to stay away; a file that was forgotten counts for six hours.
    $pause = Join-Path $folder 'keeper.pause'
    return (Test-Path -LiteralPath $pause) -and (Get-Item -LiteralPath $pause).LastWriteTimeUtc -gt [DateTime]::UtcNow.AddHours(-6)
}

function Get-Holder([string] $Wsl, [string[]] $Arguments) {
    # One that an earlier keeper left is as good as a new one.
    $tail = Join-Arguments $Arguments
    foreach ($one in @(Get-CimInstance -ClassName Win32_Process -Filter "Name = 'wsl.exe'")) {
        if (-not $one.CommandLine -or -not $one.CommandLine.EndsWith($tail)) { continue }
        if ((Invoke-CimMethod -InputObject $one -MethodName GetOwnerSid).Sid -ne $me.User.Value) { continue }
        $process = Get-Process -Id $one.ProcessId -ErrorAction SilentlyContinue
        if ($process) { return $process }
    }
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $Wsl
    $start.Arguments = $tail
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    return [Diagnostics.Process]::Start($start)
}

function Get-Address([string] $Wsl) {
    # The guest's in NAT mode; null where it has none of its own, as in mirrored mode: an entry would lead to itself.
    $said = Invoke-Native -Path $Wsl -Arguments @('-d', $settings.distribution, '--exec', 'ip', '-4', '-o', 'addr', 'show', 'dev', 'eth0')
    $text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($said.out))
    if ($text -notmatch 'inet (\d+\.\d+\.\d+\.\d+)/') { return $null }
    $address = $Matches[1]
    if (@(Get-NetIPAddress -AddressFamily IPv4 | ForEach-Object { $_.IPAddress }) -contains $address) { return $null }
    return $address
}

function Update-Entries([string] $Wsl) {
    # Only those that the role noted as ours; those with a minus are about to go.
    $ours = @(([string](Get-RegistryValue 'HKLM:\SOFTWARE\gpurig' 'portproxy')) -split '\s+' | Where-Object { $_ -match '^\d.*/\d+$' })
    if (-not $ours.Count) { return }
    $address = Get-Address $Wsl
    if (-not $address) { return }
    if ([string](Get-Service -Name iphlpsvc).Status -ne 'Running') {
        Set-Service -Name iphlpsvc -StartupType Automatic
        Start-Service -Name iphlpsvc
        Write-Line 'service' @{ name = 'iphlpsvc' }
    }
    foreach ($listen in $ours) {
        $at, $port = $listen -split '/'
        $present = Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Services\PortProxy\v4tov4\tcp' $listen
        if ($present -eq "$address/$port") { continue }
        $done = Invoke-Native -Path "$env:SystemRoot\System32\netsh.exe" -Arguments @(
            'interface', 'portproxy', 'set', 'v4tov4', "listenport=$port", "listenaddress=$at", "connectport=$port", "connectaddress=$address")
        Write-Line 'portproxy' @{ listen = $listen; before = "$present"; after = "$address/$port"; code = $done.code }
    }
}

$me = [Security.Principal.WindowsIdentity]::GetCurrent()
if ($me.IsSystem) {
    Write-Line 'refused' @{ why = 'WSL does not run as SYSTEM: the task must run as the owner of the distribution' }
    exit 5
}
try {
    if (Test-Paused) { exit 0 }
    # One keeper at a time, by a file that stays open until it ends: a mutex's name is free to whoever of the PC's users takes it first.
    try { $script:lock = [IO.File]::Open((Join-Path $folder 'keeper.lock'), 'OpenOrCreate', 'ReadWrite', 'None') } catch {
        # A sharing violation: another keeper has it.
        if ($_.Exception.GetBaseException().HResult -ne -2147024864) { throw }
        exit 0
    }
    $version = Get-Version
    $settings = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText((Join-Path $folder 'keeper.json')))
    $wsl = Get-WslPath
    if (-not $wsl) {
        Write-Line 'failed' @{ why = 'no wsl.exe' }
        exit 3
    }
    $holder = Get-Holder $wsl @('-d', $settings.distribution, '--exec', 'sleep', 'infinity')
    # It may well say degraded: one broken unit is no reason to stay away.
    $said = Invoke-Native -Path $wsl -Arguments @('-d', $settings.distribution, '--exec', 'systemctl', 'is-system-running', '--wait') -Seconds 90
    $systemd = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($said.out)).Trim()
    if ($holder.HasExited) {
        Write-Line 'failed' @{ why = 'the distribution does not start'; code = $holder.ExitCode }
        exit 4
    }
    Write-Line 'up' @{ distribution = $settings.distribution; systemd = $systemd; holder = $holder.Id }
    do {
        Update-Entries $wsl
        if ((Get-Version) -ne $version) {
            Write-Line 'replaced'
            exit 0
        }
    } until ($holder.WaitForExit(1000 * $settings.seconds) -or (Test-Paused))
    Write-Line 'ended' @{ paused = Test-Paused }
} catch {
    Write-Line 'failed' @{ why = [string]$_.Exception.Message }
    exit 1
}
