# gpurig: driver. Does the actions of a request in their order, up to the first that fails; then reads the sections it names.
# Answers with one line between marks: JSON in UTF-8 as Base64, which no console's code page can spoil.
param([Parameter(Mandatory = $true)] $Request)
$ErrorActionPreference = 'Stop'
# Functions of modules, as all cmdlets for firewall, tasks and network cards are, do not see our preference: without this, what
# Windows refuses them would count as done.
$PSDefaultParameterValues = @{ '*:ErrorAction' = 'Stop' }
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
. ([ScriptBlock]::Create($Request.library))

function ConvertTo-Parameters($Object) {
    $found = @{}
    foreach ($property in $Object.PSObject.Properties) { $found[$property.Name] = $property.Value }
    return $found
}

function Get-Problem($Record) {
    return @{
        message = [string]$Record.Exception.Message
        id      = [string]$Record.FullyQualifiedErrorId
        hresult = '0x{0:X8}' -f $Record.Exception.HResult
    }
}

$outcomes = New-Object System.Collections.ArrayList
foreach ($action in @($Request.actions)) {
    $watch = [Diagnostics.Stopwatch]::StartNew()
    $outcome = @{ kind = $action.kind; ok = $true; changed = $false; data = $null; problem = $null }
    try {
        $parameters = ConvertTo-Parameters $action.parameters
        $said = & ([ScriptBlock]::Create($Request.scripts.($action.kind))) @parameters
        $outcome.changed = [bool]$said.changed
        $outcome.data = $said.data
    } catch {
        $outcome.ok = $false
        $outcome.problem = Get-Problem $_
    }
    $outcome.seconds = [Math]::Round($watch.Elapsed.TotalSeconds, 2)
    [void]$outcomes.Add($outcome)
    if (-not $outcome.ok) { break }
}

$state = @{}
foreach ($section in @($Request.sections)) {
    try {
        $parameters = ConvertTo-Parameters $section.parameters
        $state[$section.name] = & ([ScriptBlock]::Create($Request.scripts.($section.name))) @parameters
    } catch {
        $state[$section.name] = @{ error = Get-Problem $_ }
    }
}

$json = ConvertTo-Json -InputObject @{ schema = 1; outcomes = $outcomes; state = $state } -Depth 12 -Compress
'<gpurig ' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json)) + '>'
