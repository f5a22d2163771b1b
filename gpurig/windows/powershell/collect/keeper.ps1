# gpurig: collect/keeper. The scheduled task that keeps WSL up, its files, and what it wrote last.
param(
    [Parameter(Mandatory = $true)] [string] $Task,
    [Parameter(Mandatory = $true)] [string] $Folder
)
function Get-Digest([string] $Path) {
    if (-not (Test-Path -LiteralPath $Path -PathType Leaf)) { return $null }
    return (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash.ToLowerInvariant()
}

function Get-Rights([string] $Path) {
    # Who may change it: write, append, delete, set attributes, rights or the owner, or everything at once.
    if (-not (Test-Path -LiteralPath $Path)) { return $null }
    $changes = 0x500D0156
    $acl = Get-Acl -LiteralPath $Path
    $kind = [Security.Principal.SecurityIdentifier]
    $rules = @($acl.GetAccessRules($true, $true, $kind) | Where-Object { [int]$_.AccessControlType -eq 0 -and ([int]$_.FileSystemRights -band $changes) })
    return @{
        owner     = [string]$acl.GetOwner($kind).Value
        sids      = @($rules | ForEach-Object { [string]$_.IdentityReference.Value } | Sort-Object -Unique)
        inherited = -not $acl.AreAccessRulesProtected
    }
}

function Get-Time($Moment) {
    # The scheduler's zero is a day of 1999.
    if ($null -eq $Moment -or $Moment.Year -lt 2000) { return $null }
    return $Moment.ToUniversalTime().ToString('yyyy-MM-dd\THH\:mm\:ss\Z', [Globalization.CultureInfo]::InvariantCulture)
}

$cut = $Task.LastIndexOf('\') + 1
$there = @{ TaskPath = $Task.Substring(0, $cut); TaskName = $Task.Substring($cut) }
$found = Get-ScheduledTask @there -ErrorAction SilentlyContinue
$answer = @{
    xml      = $null
    state    = ''
    enabled  = $false
    result   = $null
    last_run = $null
    next_run = $null
    script   = Get-Digest (Join-Path $Folder 'keeper.ps1')
    settings = Get-Digest (Join-Path $Folder 'keeper.json')
    acls     = @{
        folder   = Get-Rights $Folder
        script   = Get-Rights (Join-Path $Folder 'keeper.ps1')
        settings = Get-Rights (Join-Path $Folder 'keeper.json')
    }
    log      = @()
    ups      = @()
}
if ($found) {
    $info = Get-ScheduledTaskInfo @there
    $answer.xml = [string](Export-ScheduledTask @there)
    $answer.state = @('unknown', 'disabled', 'queued', 'ready', 'running')[[int]$found.State]
    $answer.enabled = [bool]$found.Settings.Enabled
    $answer.result = [int64]$info.LastTaskResult
    $answer.last_run = Get-Time $info.LastRunTime
    $answer.next_run = Get-Time $info.NextRunTime
}
$log = Join-Path $Folder 'keeper.log'
if (Test-Path -LiteralPath $log) { $answer.log = @(Get-Content -LiteralPath $log -Tail 20 -Encoding UTF8 | ForEach-Object { [string]$_ }) }
# Since Windows started WSL may have come up often, and the log's first part was put aside when it was long.
$answer.ups = @(foreach ($file in @("$log.1", $log)) {
        if (-not (Test-Path -LiteralPath $file)) { continue }
        foreach ($line in @(Get-Content -LiteralPath $file -Encoding UTF8)) {
            if ($line -match '"event":"up"' -and $line -match '"time":"([^"]+)"') { [string]$Matches[1] }
        }
    })
$answer
