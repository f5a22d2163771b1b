# gpurig: apply/inside_run. Runs a script of gpurig/windows/inside as root in a distribution; it says a line `changed` where it changed something.
param(
    [Parameter(Mandatory = $true)] [string] $Distribution,
    [Parameter(Mandatory = $true)] [string] $Script,
    [Parameter(Mandatory = $true)] [string] $Text,
    [string[]] $Arguments = @(),
    [string] $Stdin = '',
    [Parameter(Mandatory = $true)] [int] $Seconds
)
$wsl = Get-WslPath
if (-not $wsl) { throw 'WSL is not installed: there is no wsl.exe under Program Files.' }
# The script's input goes with it, as Base64: a list of processes shows neither.
# An empty line first: where the console's code page is UTF-8, .NET Framework puts a byte order mark before all that we say.
$body = "`n$Text`nmain `"`$@`" <<'GPURIG'`n$Stdin`nGPURIG`n"
$words = @('-d', $Distribution, '--cd', '/', '-u', 'root', '--exec', '/bin/sh', '-s') + $Arguments
$bytes = [Text.Encoding]::UTF8.GetBytes($body)
$done = Invoke-Native -Path $wsl -Arguments $words -Seconds $Seconds -Bytes $bytes -Environment @{ WSL_UTF8 = '1' }
$said = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($done.out))
if ($done.code -ne 0) {
    $problem = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($done.err)).Trim()
    if (-not $problem) { $problem = $said.Trim() }
    $ended = if ($null -eq $done.code) { "did not end within $Seconds s" } else { "ended with $($done.code)" }
    throw "$Script in ${Distribution} ${ended}: $problem"
}
@{ changed = [bool]($said -match '(?m)^changed\r?$'); data = $done }
